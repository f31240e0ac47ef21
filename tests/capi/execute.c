/* Executes a block that is given in sections, and writes the results in sections: 8 bytes of length, the bytes, and zeros up to a multiple of 8.
 *
 *     execute IN OUT cpu|wgpu
 *
 * Both are in the order of the fields of the structs; capi.rs writes the one and reads the other. */
#include <lockstep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t *at, *end;

static lockstep_bytes section(void) {
  uint64_t len;
  if (end - at < 8) exit(2);
  memcpy(&len, at, 8);
  lockstep_bytes bytes = {at + 8, (size_t)len};
  at += 8 + (len + 7) / 8 * 8;
  if (at > end) exit(2);
  return bytes;
}

static lockstep_u64s numbers(void) {
  lockstep_bytes bytes = section();
  return (lockstep_u64s){(const uint64_t *)(const void *)bytes.data, bytes.len / 8};
}

static void put(FILE *file, const void *data, size_t len) {
  static const uint8_t zeros[8];
  uint64_t length = len;
  fwrite(&length, 8, 1, file);
  if (len > 0) fwrite(data, 1, len, file);
  fwrite(zeros, 1, (8 - len % 8) % 8, file);
}

static lockstep_code check(lockstep_code code, lockstep_code expected) {
  char text[512] = "";
  lockstep_last_error(0, text, sizeof text);
  if (code != expected) exit((fprintf(stderr, "code %d: %s\n", (int)code, text), 1));
  return code;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  FILE *file = fopen(argv[1], "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) return perror(argv[1]), 2;
  size_t size = (size_t)ftell(file);
  uint8_t *data = malloc(size);
  rewind(file);
  if (data == NULL || fread(data, 1, size, file) != size) return perror(argv[1]), 2;
  fclose(file);
  at = data, end = data + size;

  lockstep_bytes head = section();
  if (head.len != sizeof(lockstep_block_env)) return fprintf(stderr, "an environment of %zu bytes\n", head.len), 2;
  lockstep_block_env env;
  memcpy(&env, head.data, sizeof env);
  lockstep_items transactions;
  lockstep_state state = {0};
  transactions.bytes = section(), transactions.offsets = numbers();
  state.addresses = section(), state.balances = section(), state.nonces = numbers(), state.code_hashes = section();
  state.slot_addresses = section(), state.slot_keys = section(), state.slot_values = section();
  state.codes.bytes = section(), state.codes.offsets = numbers();
  state.block_numbers = numbers(), state.block_hashes = section();

  lockstep_options options = {.backend = strcmp(argv[3], "wgpu") == 0 ? LOCKSTEP_BACKEND_WGPU : LOCKSTEP_BACKEND_CPU};
  lockstep_handle lockstep;
  check(lockstep_create(LOCKSTEP_ABI_VERSION, &options, &lockstep), LOCKSTEP_CODE_OK);
  lockstep_results results = {.wants = LOCKSTEP_WANT_OUTPUTS | LOCKSTEP_WANT_LOGS | LOCKSTEP_WANT_CHANGES};
  /* Without room first, to know how much it takes; nothing runs twice. */
  check(lockstep_execute(lockstep, &env, &transactions, &state, &results), LOCKSTEP_CODE_TOO_SMALL);
  lockstep_out *bytes[] = {
    &results.statuses, &results.senders, &results.tx_hashes, &results.contract_addresses, &results.outputs, &results.log_addresses,
    &results.log_topics, &results.log_data, &results.account_addresses, &results.account_changes, &results.account_balances,
    &results.account_code_hashes, &results.slot_addresses, &results.slot_keys, &results.slot_values, &results.code_hashes, &results.codes,
  };
  lockstep_out_u64 *words[] = {
    &results.tx_gas_used, &results.cumulative_gas_used, &results.log_offsets, &results.output_offsets, &results.log_topic_offsets,
    &results.log_data_offsets, &results.account_nonces, &results.code_offsets,
  };
  enum { BYTES = sizeof bytes / sizeof *bytes, WORDS = sizeof words / sizeof *words };
  for (size_t i = 0; i < BYTES; i++) bytes[i]->data = malloc(bytes[i]->len + 1), bytes[i]->capacity = bytes[i]->len;
  for (size_t i = 0; i < WORDS; i++) words[i]->data = malloc(8 * words[i]->len + 1), words[i]->capacity = words[i]->len;
  check(lockstep_execute(lockstep, NULL, NULL, NULL, &results), LOCKSTEP_CODE_OK);
  check(lockstep_destroy(lockstep), LOCKSTEP_CODE_OK);

  file = fopen(argv[2], "wb");
  if (file == NULL) return perror(argv[2]), 2;
  put(file, &results.gas_used, 8);
  put(file, results.receipts_root, results.has_receipts_root ? 32 : 0);
  put(file, results.transactions_root, 32);
  put(file, results.logs_bloom, 256);
  for (size_t i = 0; i < BYTES; i++) put(file, bytes[i]->data, bytes[i]->len), free(bytes[i]->data);
  for (size_t i = 0; i < WORDS; i++) put(file, words[i]->data, 8 * words[i]->len), free(words[i]->data);
  free(data);
  return fclose(file) == 0 ? 0 : 2;
}
