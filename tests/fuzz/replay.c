/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs a fuzz entry on every file of the folders given, in the place of a fuzzer:
 * the corpus is a test. With -Dfuzz=true, libFuzzer has the main instead.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20 };

static int run_file(const char *path)
{
	uint8_t *data = malloc(INPUT_MAX);
	FILE *f = fopen(path, "re");

	if (!f || !data) {
		perror(path);
		free(data);
		if (f)
			(void)fclose(f);
		return -1;
	}
	size_t size = fread(data, 1, INPUT_MAX, f);
	(void)fclose(f);
	/* A block of its exact size, so that a read behind it is seen. */
	uint8_t *exact = malloc(size ? size : 1);
	if (exact) {
		for (size_t i = 0; i < size; i++)
			exact[i] = data[i];
		(void)LLVMFuzzerTestOneInput(exact, size);
	}
	free(exact);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned files = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *e;

		if (!dir) {
			perror(argv[i]);
			return 1;
		}
		while ((e = readdir(dir)) != NULL) {
			char path[4096];

			if (e->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
			if (run_file(path) < 0)
				return 1;
			files++;
		}
		(void)closedir(dir);
	}
	printf("%u inputs\n", files);
	return files == 0;
}
