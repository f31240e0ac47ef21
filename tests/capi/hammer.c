/* Many threads on one handle: batches of random sizes with bad items among them, wrong inputs, handles that come and go. Every answer is
 * checked, and so is the memory in use.
 *
 *     hammer FILE SECONDS THREADS
 *
 * FILE is that of host/capi/examples/recover.c. */
#define _POSIX_C_SOURCE 200809L
#include <lockstep.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = 2000 };

static const uint64_t *offsets;
static const uint8_t *raw, *expected;
static size_t count;
static lockstep_handle shared, gone;
static double end;
static uint8_t *hashes;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void check(int holds, const char *what) {
  if (holds) return;
  char text[512] = "";
  lockstep_last_error(0, text, sizeof text);
  fprintf(stderr, "hammer: %s: %s\n", what, text);
  _exit(1);
}

static uint64_t next(uint64_t *state) {
  *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
  return *state;
}

typedef struct {
  uint8_t *bytes, *addresses, *statuses, *bad;
  uint64_t *ends;
  size_t *which;
} room;

/* One batch: some items are cut short, which makes them no transactions. */
static void recover(lockstep_handle handle, uint64_t *seed, room *room) {
  size_t n = next(seed) % 8 ? next(seed) % 48 : next(seed) % LARGEST, length = 0;
  room->ends[0] = 0;
  for (size_t i = 0; i < n; i++) {
    size_t at = room->which[i] = next(seed) % count, size = (size_t)(offsets[at + 1] - offsets[at]);
    room->bad[i] = next(seed) % 10 == 0;
    if (room->bad[i]) size = next(seed) % size;
    /* The longest items would make the copying the most of the work. */
    if (size > 4096) size = 0, room->bad[i] = 1;
    memcpy(room->bytes + length, raw + offsets[at], size);
    room->ends[i + 1] = length += size;
  }
  lockstep_signatures signatures = {.raw = {.bytes = {room->bytes, length}, .offsets = {room->ends, n + 1}}};
  lockstep_signers signers = {.addresses = {.data = room->addresses, .capacity = 20 * n}, .statuses = {.data = room->statuses, .capacity = n}};
  check(lockstep_recover(handle, &signatures, &signers) == LOCKSTEP_CODE_OK, "recover");
  static const uint8_t none[20];
  for (size_t i = 0; i < n; i++) {
    check(room->statuses[i] == (room->bad[i] ? LOCKSTEP_ITEM_STATUS_MALFORMED : LOCKSTEP_ITEM_STATUS_OK), "a status");
    check(memcmp(room->addresses + 20 * i, room->bad[i] ? none : expected + 20 * room->which[i], 20) == 0, "a wrong answer");
  }
}

static void keccak(uint64_t *seed, room *room) {
  size_t first = next(seed) % count, n = next(seed) % 100;
  if (n > count - first) n = count - first;
  for (size_t i = 0; i <= n; i++) room->ends[i] = offsets[first + i] - offsets[first];
  lockstep_items messages = {.bytes = {raw + offsets[first], room->ends[n]}, .offsets = {room->ends, n + 1}};
  lockstep_out out = {.data = room->addresses, .capacity = 32 * n};
  check(lockstep_keccak256(shared, &messages, &out) == LOCKSTEP_CODE_OK, "keccak256");
  check(memcmp(room->addresses, hashes + 32 * first, 32 * n) == 0, "a wrong hash");
}

static void wrong(room *room) {
  uint64_t descending[3] = {0, 5, 4};
  lockstep_signatures signatures = {.raw = {.bytes = {raw, 4}, .offsets = {descending, 3}}};
  lockstep_signers signers = {.addresses = {.data = room->addresses, .capacity = 40}, .statuses = {.data = room->statuses, .capacity = 2}};
  check(lockstep_recover(shared, &signatures, &signers) == LOCKSTEP_CODE_BAD_OFFSETS, "descending offsets");
  check(lockstep_recover(gone, &signatures, &signers) == LOCKSTEP_CODE_BAD_HANDLE, "a dead handle");
  check(lockstep_recover(shared, NULL, &signers) == LOCKSTEP_CODE_NULL_POINTER, "null");
  signatures.raw.bytes.data = NULL;
  check(lockstep_recover(shared, &signatures, &signers) == LOCKSTEP_CODE_NULL_POINTER, "null bytes");
  char text[200];
  check(lockstep_last_error(0, text, sizeof text) > 1 && strstr(text, "signatures.raw.bytes: null") != NULL, "this thread's own error");
}

/* A creation on an empty state: its answer does not fit at first, and is fetched, or discarded. */
static void simulate(uint64_t *seed) {
  static const uint8_t from[20] = {0xaa}, to[20], creates[1] = {1}, code[] = {0x60, 0x20, 0x60, 0x00, 0xf3};
  static const uint64_t ends[2] = {0, sizeof code};
  lockstep_block_env env = {.chain_id = 1, .number = 1, .gas_limit = 1000000, .fork = LOCKSTEP_FORK_OSAKA};
  lockstep_state state = {0};
  lockstep_calls calls = {.from = {from, 20}, .to = {to, 20}, .creates = {creates, 1}, .inputs = {.bytes = {code, sizeof code}, .offsets = {ends, 2}}};
  lockstep_answers answers = {0};
  check(lockstep_simulate(shared, &env, &state, &calls, &answers) == LOCKSTEP_CODE_TOO_SMALL, "simulate");
  uint8_t status = 0, contract[20], output[64];
  uint64_t gas, output_ends[2];
  check(answers.outputs.len == 32 && answers.token != 0, "32 bytes of code");
  if (next(seed) % 2) {
    check(lockstep_discard(shared, answers.token) == LOCKSTEP_CODE_OK, "discard");
    check(lockstep_discard(shared, answers.token) == LOCKSTEP_CODE_NO_RESULT, "discarded already");
    return;
  }
  answers.statuses = (lockstep_out){.data = &status, .capacity = 1};
  answers.contract_addresses = (lockstep_out){.data = contract, .capacity = 20};
  answers.outputs = (lockstep_out){.data = output, .capacity = sizeof output};
  answers.gas_used = (lockstep_out_u64){.data = &gas, .capacity = 1};
  answers.output_offsets = (lockstep_out_u64){.data = output_ends, .capacity = 2};
  check(lockstep_simulate(shared, NULL, NULL, NULL, &answers) == LOCKSTEP_CODE_OK, "fetch");
  check(status == LOCKSTEP_TX_STATUS_SUCCESS && output_ends[1] == 32 && gas > 53000, "a creation");
}

static void *work(void *number) {
  uint64_t seed = 0x9e3779b97f4a7c15u * (uint64_t)((size_t)number + 1);
  room room = {malloc(4096 * LARGEST), malloc(32 * LARGEST), malloc(LARGEST), malloc(LARGEST), malloc(8 * (LARGEST + 1)), malloc(8 * LARGEST)};
  size_t *calls = calloc(1, sizeof *calls);
  check(room.bytes && room.addresses && room.statuses && room.bad && room.ends && room.which && calls, "malloc");
  while (now() < end) {
    size_t kind = next(&seed) % 256;
    if (kind == 0) {
      lockstep_options options = {.backend = LOCKSTEP_BACKEND_CPU, .threads = 1};
      lockstep_handle own;
      check(lockstep_create(LOCKSTEP_ABI_VERSION, &options, &own) == LOCKSTEP_CODE_OK, "create");
      recover(own, &seed, &room);
      check(lockstep_destroy(own) == LOCKSTEP_CODE_OK && lockstep_destroy(own) == LOCKSTEP_CODE_BAD_HANDLE, "destroy");
    } else if (kind < 40) {
      keccak(&seed, &room);
    } else if (kind < 80) {
      wrong(&room);
    } else if (kind < 100) {
      simulate(&seed);
    } else {
      recover(shared, &seed, &room);
    }
    ++*calls;
  }
  free(room.bytes), free(room.addresses), free(room.statuses), free(room.bad), free(room.ends), free(room.which);
  return calls;
}

/* KiB in use. */
static long resident(void) {
  long pages = 0, all;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%ld %ld", &all, &pages) != 2) pages = 0;
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "usage: hammer FILE SECONDS THREADS\n"), 2;
  FILE *file = fopen(argv[1], "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) return perror(argv[1]), 2;
  size_t size = (size_t)ftell(file);
  uint64_t *data = malloc(size);
  rewind(file);
  if (data == NULL || fread(data, 1, size, file) != size) return perror(argv[1]), 2;
  fclose(file);
  count = (size_t)data[0], offsets = data + 1;
  raw = (const uint8_t *)(offsets + count + 1), expected = raw + offsets[count];
  double seconds = atof(argv[2]);
  size_t threads = (size_t)atol(argv[3]);

  lockstep_options options = {.backend = LOCKSTEP_BACKEND_CPU};
  check(lockstep_create(LOCKSTEP_ABI_VERSION, &options, &gone) == LOCKSTEP_CODE_OK, "create");
  check(lockstep_destroy(gone) == LOCKSTEP_CODE_OK, "destroy");
  check(lockstep_create(LOCKSTEP_ABI_VERSION, &options, &shared) == LOCKSTEP_CODE_OK, "create");
  hashes = malloc(32 * count);
  check(hashes != NULL, "malloc");
  /* One by one: batches must give the same. */
  for (size_t i = 0; i < count; i++) {
    uint64_t ends[2] = {0, offsets[i + 1] - offsets[i]};
    lockstep_items one = {.bytes = {raw + offsets[i], ends[1]}, .offsets = {ends, 2}};
    lockstep_out out = {.data = hashes + 32 * i, .capacity = 32};
    check(lockstep_keccak256(shared, &one, &out) == LOCKSTEP_CODE_OK, "keccak256");
  }

  double start = now();
  end = start + seconds;
  pthread_t *all = malloc(threads * sizeof *all);
  check(all != NULL, "malloc");
  for (size_t i = 0; i < threads; i++) check(pthread_create(&all[i], NULL, work, (void *)i) == 0, "pthread_create");
  /* By a third of the time every thread has had its largest batch. */
  struct timespec third = {(time_t)(seconds / 3), (long)((seconds / 3 - (double)(time_t)(seconds / 3)) * 1e9)};
  nanosleep(&third, NULL);
  long early = resident();
  nanosleep(&third, NULL);
  nanosleep(&third, NULL);
  long late = resident();
  size_t calls = 0;
  for (size_t i = 0; i < threads; i++) {
    void *done;
    pthread_join(all[i], &done);
    calls += *(size_t *)done;
    free(done);
  }
  check(lockstep_destroy(shared) == LOCKSTEP_CODE_OK, "destroy");
  printf("%zu threads, %zu calls in %.1f s, resident after a third %ld KiB, at the end %ld KiB\n", threads, calls, now() - start, early, late);
  free(all), free(hashes), free(data);
  return 0;
}
