// SPDX-License-Identifier: Apache-2.0

//! Mounts one bucket with the library crates of AWS's Mountpoint, in the
//! foreground, so that the benchmark can measure it beside mount-s3.
//!
//! The settings are those that its command line program uses when it is given
//! no option: 8 MiB parts, 16 FUSE threads, 10 Gbit/s target, no cache, memory
//! limit of 95 % of the machine, jemalloc with 32 arenas.
//!
//! mountpoint-peer ENDPOINT_URL path|auto BUCKET DIRECTORY REGION [LOG_FILE]
//!
//! Keys come from the environment (AWS_ACCESS_KEY_ID, ...); with
//! AWS_NO_SIGN_REQUEST=1 requests are not signed.

use anyhow::{Context, Result, bail};
use mountpoint_s3_client::config::{AddressingStyle, S3ClientAuthConfig};
use mountpoint_s3_client::user_agent::UserAgent;
use mountpoint_s3_fs::data_cache::DataCacheConfig;
use mountpoint_s3_fs::fuse::config::{FuseOptions, FuseSessionConfig, MountPoint};
use mountpoint_s3_fs::logging::{LoggingConfig, init_logging};
use mountpoint_s3_fs::memory::{
    CandidateSize, MINIMUM_MEM_LIMIT, PagedPool, effective_total_memory,
};
use mountpoint_s3_fs::s3::config::{
    ClientConfig, MemoryLimitSetting, PartConfig, Region, TargetThroughputSetting,
};
use mountpoint_s3_fs::s3::{Bucket, S3Path};
use mountpoint_s3_fs::{
    MountpointConfig, Runtime, S3FilesystemConfig, Superblock, SuperblockConfig, metrics,
};

const PART_SIZE: usize = 8 << 20;
const FUSE_THREADS: usize = 16;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8] = b"abort_conf:true,background_thread:true,narenas:32\0";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, style, bucket, directory, region, rest @ ..] = args.as_slice() else {
        bail!("usage: mountpoint-peer ENDPOINT_URL path|auto BUCKET DIRECTORY REGION [LOG_FILE]");
    };
    let _logging = rest
        .first()
        .map(|file| {
            init_logging(LoggingConfig {
                log_file: Some(file.into()),
                log_to_stdout: false,
                default_filter: "warn,awscrt=off".to_string(),
            })
        })
        .transpose()?;
    let _metrics = metrics::install(None).context("metrics")?;

    let memory = ((effective_total_memory() as f64 * 0.95) as usize).max(MINIMUM_MEM_LIMIT);
    let unsigned = std::env::var("AWS_NO_SIGN_REQUEST").is_ok_and(|value| value == "1");
    let config = ClientConfig {
        region: Region::new_user_specified(region.clone()),
        endpoint_url: Some(endpoint.clone()),
        addressing_style: match style.as_str() {
            "path" => AddressingStyle::Path,
            _ => AddressingStyle::Automatic,
        },
        dual_stack: false,
        transfer_acceleration: false,
        auth_config: match unsigned {
            true => S3ClientAuthConfig::NoSigning,
            false => S3ClientAuthConfig::Default,
        },
        requester_pays: false,
        expected_bucket_owner: None,
        throughput_target: TargetThroughputSetting::Default,
        bind: None,
        part_config: PartConfig::with_part_size(PART_SIZE)
            .validate(MemoryLimitSetting::Default(memory))?,
        user_agent: UserAgent::new(None),
        tls_config: None,
    };
    let pool = PagedPool::config()
        .with_candidate_sizes([
            CandidateSize::prunable(config.part_config.read_size_bytes),
            CandidateSize::new(config.part_config.write_size_bytes),
        ])
        .with_memory_limit(memory)
        .build();

    let path = S3Path::new(Bucket::new(bucket.as_str())?, Default::default());
    let client = config
        .create_client(pool.clone(), Some(&path))
        .context("S3 client")?;
    let runtime = Runtime::new(client.event_loop_group());
    let fs_config = S3FilesystemConfig::default();
    let superblock = Superblock::new(
        client.clone(),
        path,
        SuperblockConfig {
            cache_config: fs_config.cache_config.clone(),
            s3_personality: fs_config.s3_personality,
        },
    );
    let session = FuseSessionConfig::new(
        MountPoint::new(directory)?,
        FuseOptions::default(),
        FUSE_THREADS,
    )?;
    MountpointConfig::new(session, fs_config, DataCacheConfig::default())?
        .create_fuse_session(superblock, client, runtime, pool)
        .context("mount")?
        .join()
        .context("session")
}
