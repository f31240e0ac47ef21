/* Recovers the senders of raw transactions, checks them, and says how fast it was.
 *
 *     cc -O2 -I host/capi/include host/capi/examples/recover.c -L target/release -llockstep -o recover
 *     LD_LIBRARY_PATH=target/release ./recover FILE
 *
 * FILE, little-endian: the number of transactions (8 bytes), one offset more than that (8 bytes each), the transactions one behind the
 * other, and 20 bytes a transaction: the sender that is expected. It is mapped, and Lockstep reads it where it lies. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <lockstep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, SINGLES = 512 };

static int fail(const char *what, lockstep_code code) {
  char text[512] = "";
  lockstep_last_error(0, text, sizeof text);
  fprintf(stderr, "%s: code %d: %s\n", what, (int)code, text);
  return 1;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: recover FILE\n"), 2;
  int file = open(argv[1], O_RDONLY);
  struct stat info;
  if (file < 0 || fstat(file, &info) != 0) return perror(argv[1]), 2;
  size_t size = (size_t)info.st_size;
  const uint8_t *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (data == MAP_FAILED) return perror(argv[1]), 2;

  size_t count = (size_t) * (const uint64_t *)data;
  const uint64_t *offsets = (const uint64_t *)data + 1;
  const uint8_t *raw = (const uint8_t *)(offsets + count + 1);
  const uint8_t *expected = raw + offsets[count];
  if (expected + 20 * count != data + size) return fprintf(stderr, "%s: not such a file\n", argv[1]), 2;

  /* The version that this program was compiled for: a library of another one refuses. */
  lockstep_options options = {.backend = LOCKSTEP_BACKEND_CPU};
  lockstep_handle lockstep;
  lockstep_code code = lockstep_create(LOCKSTEP_ABI_VERSION, &options, &lockstep);
  if (code != LOCKSTEP_CODE_OK) return fail("lockstep_create", code);

  lockstep_signatures signatures = {.raw = {.bytes = {raw, offsets[count]}, .offsets = {offsets, count + 1}}};
  uint8_t *addresses = malloc(20 * count + 1), *statuses = malloc(count + 1);
  if (!addresses || !statuses) return perror("malloc"), 2;
  lockstep_signers signers = {.addresses = {.data = addresses, .capacity = 20 * count}, .statuses = {.data = statuses, .capacity = count}};
  double best = 1e300;
  for (int round = 0; round < ROUNDS; round++) {
    memset(addresses, 0, 20 * count);
    double start = now();
    code = lockstep_recover(lockstep, &signatures, &signers);
    double time = now() - start;
    if (code != LOCKSTEP_CODE_OK) return fail("lockstep_recover", code);
    if (time < best) best = time;
    for (size_t i = 0; i < count; i++) {
      if (statuses[i] != LOCKSTEP_ITEM_STATUS_OK || memcmp(addresses + 20 * i, expected + 20 * i, 20) != 0) {
        return fprintf(stderr, "transaction %zu: another sender, status %d\n", i, statuses[i]), 1;
      }
    }
  }
  printf("%zu senders in %.6f s: %.0f a second\n", count, best, (double)count / best);

  /* One at a time, on this thread. */
  size_t singles = count < SINGLES ? count : SINGLES;
  best = 1e300;
  for (int round = 0; round < ROUNDS; round++) {
    double start = now();
    for (size_t i = 0; i < singles; i++) {
      uint64_t ends[2] = {0, offsets[i + 1] - offsets[i]};
      lockstep_signatures one = {.raw = {.bytes = {raw + offsets[i], ends[1]}, .offsets = {ends, 2}}};
      code = lockstep_recover(lockstep, &one, &signers);
      if (code != LOCKSTEP_CODE_OK || memcmp(addresses, expected + 20 * i, 20) != 0) return fail("one", code);
    }
    double time = now() - start;
    if (time < best) best = time;
  }
  printf("one at a time: %.0f ns each\n", best / (double)singles * 1e9);

  code = lockstep_destroy(lockstep);
  if (code != LOCKSTEP_CODE_OK) return fail("lockstep_destroy", code);
  if (lockstep_recover(lockstep, &signatures, &signers) != LOCKSTEP_CODE_BAD_HANDLE) return fail("a dead handle", code);
  free(addresses);
  free(statuses);
  munmap((void *)data, size);
  close(file);
  return 0;
}
