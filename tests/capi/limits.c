/* Large batches take no memory beside the caller's own but some tens of MiB, and none where an output has no room: that is said before any work.
 *
 *     limits */
#define _POSIX_C_SOURCE 200809L
#include <lockstep.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COUNT = 1 << 22, SLACK_KIB = 192 << 10 };

static void check(int holds, const char *what) {
  if (holds) return;
  char text[512] = "";
  lockstep_last_error(0, text, sizeof text);
  fprintf(stderr, "limits: %s: %s\n", what, text);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* KiB, at most so far. What the system counts by itself would begin with the process that started this one. */
static long peak(void) {
  char line[256];
  long kib = 0;
  FILE *file = fopen("/proc/self/status", "r");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
  }
  fclose(file);
  return kib;
}

/* Written to, so that it counts already. */
static void *filled(size_t size) {
  uint8_t *data = malloc(size);
  check(data != NULL, "malloc");
  for (size_t i = 0; i < size; i += 512) data[i] = 0xee;
  return data;
}

int main(void) {
  lockstep_options options = {.backend = LOCKSTEP_BACKEND_CPU};
  lockstep_handle lockstep;
  check(lockstep_create(LOCKSTEP_ABI_VERSION, &options, &lockstep) == LOCKSTEP_CODE_OK, "create");

  /* Nothing is no transaction, which is found in no time. */
  uint8_t *statuses = filled(COUNT), *out = filled((size_t)COUNT * 32);
  uint64_t *offsets = calloc(COUNT + 1, 8);
  check(offsets != NULL, "calloc");
  for (size_t i = 0; i < COUNT; i += 64) check(offsets[i] == 0, "zeros");
  lockstep_items messages = {.offsets = {offsets, COUNT + 1}};
  lockstep_signatures signatures = {.raw = messages};
  lockstep_signers signers = {.addresses = {.data = out, .capacity = (size_t)COUNT * 20}, .statuses = {.data = statuses, .capacity = COUNT - 1}};
  lockstep_out hashes = {.data = out, .capacity = (size_t)COUNT * 32 - 1};
  long before = peak();

  double start = now();
  check(lockstep_recover(lockstep, &signatures, &signers) == LOCKSTEP_CODE_TOO_SMALL, "no room for statuses");
  check(signers.statuses.len == COUNT && statuses[0] == 0xee, "nothing written");
  check(lockstep_keccak256(lockstep, &messages, &hashes) == LOCKSTEP_CODE_TOO_SMALL, "no room for hashes");
  check(hashes.len == (size_t)COUNT * 32 && out[0] == 0xee, "nothing written");
  double refused = now() - start;

  start = now();
  signers.statuses.capacity = COUNT, hashes.capacity++;
  check(lockstep_recover(lockstep, &signatures, &signers) == LOCKSTEP_CODE_OK, "recover");
  for (size_t i = 0; i < COUNT; i++) check(statuses[i] == LOCKSTEP_ITEM_STATUS_MALFORMED, "a status");
  check(lockstep_keccak256(lockstep, &messages, &hashes) == LOCKSTEP_CODE_OK, "keccak256");
  for (size_t i = 0; i < COUNT; i++) check(out[32 * i] == 0xc5 && out[32 * i + 31] == 0x70, "a hash");
  double done = now() - start;

  long grown = peak() - before;
  printf("%d items: refused in %.3f s, done in %.3f s, %ld KiB more\n", COUNT, refused, done, grown);
  check(grown < SLACK_KIB, "memory");
  check(refused < done / 4, "refused after the work");
  check(lockstep_destroy(lockstep) == LOCKSTEP_CODE_OK, "destroy");
  free(statuses), free(out), free(offsets);
  return 0;
}
