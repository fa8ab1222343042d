# SPDX-License-Identifier: Apache-2.0
"""A small S3 client for preparing and checking: no measured byte passes here."""

import datetime
import hashlib
import hmac
import http.client
import re
import urllib.parse

from .procs import BenchError

PAYLOAD = "UNSIGNED-PAYLOAD"


class S3:
    """One bucket of one server, path style, plain HTTP, signature version 4."""

    def __init__(self, host, bucket, access_key, secret_key, region="us-east-1"):
        self.host = host
        self.bucket = bucket
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region

    def _sign(self, method, path, query, now):
        day = now.strftime("%Y%m%d")
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        canonical = (
            f"{method}\n{path}\n{query}\nhost:{self.host}\nx-amz-content-sha256:{PAYLOAD}\n"
            f"x-amz-date:{stamp}\n\nhost;x-amz-content-sha256;x-amz-date\n{PAYLOAD}")
        scope = f"{day}/{self.region}/s3/aws4_request"
        text = (f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n"
                f"{hashlib.sha256(canonical.encode()).hexdigest()}")
        key = b"AWS4" + self.secret_key.encode()
        for part in (day, self.region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        return {
            "Host": self.host,
            "x-amz-date": stamp,
            "x-amz-content-sha256": PAYLOAD,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
                             "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
                             f"Signature={signature}",
        }

    def call(self, method, key="", query=None, body=None, ok=(200, 204, 206)):
        path = urllib.parse.quote(f"/{self.bucket}" + (f"/{key}" if key else ""))
        pairs = sorted((query or {}).items())
        text = "&".join(f"{urllib.parse.quote(k, safe='~')}={urllib.parse.quote(v, safe='~')}"
                        for k, v in pairs)
        headers = self._sign(method, path, text, datetime.datetime.now(datetime.timezone.utc))
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path + ("?" + text if text else ""), body, headers)
            response = connection.getresponse()
            data = response.read()
        except OSError as e:
            raise BenchError(f"{self.host}: {method} {path}: {e}") from e
        finally:
            connection.close()
        if response.status not in ok:
            raise BenchError(f"{self.host}: {method} {path}: status {response.status}")
        return data

    def create_bucket(self):
        self.call("PUT", ok=(200, 409))

    def get(self, key):
        return self.call("GET", key)

    def list(self, prefix):
        """Keys and sizes below a prefix."""
        query = {"list-type": "2", "prefix": prefix}
        found = []
        while True:
            text = self.call("GET", query=query).decode()
            for entry in re.findall(r"<Contents>(.*?)</Contents>", text, re.S):
                key = re.search(r"<Key>(.*?)</Key>", entry, re.S)
                size = re.search(r"<Size>(\d+)</Size>", entry)
                if not key or not size:
                    raise BenchError(f"{self.host}: a listing without key or size")
                found.append((key.group(1), int(size.group(1))))
            token = re.search(r"<NextContinuationToken>(.*?)<", text)
            if not token:
                return found
            query["continuation-token"] = token.group(1)

    def delete(self, prefix):
        for key, _ in self.list(prefix):
            self.call("DELETE", key)
