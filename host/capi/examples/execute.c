/* Executes a block of one transaction on a snapshot, and says what it did and what has changed.
 *
 *     cc -I host/capi/include host/capi/examples/execute.c -L target/release -llockstep -o execute
 *     LD_LIBRARY_PATH=target/release ./execute */
#include <lockstep.h>
#include <stdio.h>
#include <stdlib.h>

/* The example of EIP-155: one ether to 0x3535…35, at 20 gwei a unit of gas. */
static const uint8_t raw[] = {
  0xf8, 0x6c, 0x09, 0x85, 0x04, 0xa8, 0x17, 0xc8, 0x00, 0x82, 0x52, 0x08, 0x94, 0x35, 0x35, 0x35, 0x35, 0x35, 0x35, 0x35,
  0x35, 0x35, 0x35, 0x35, 0x35, 0x35, 0x35, 0x35, 0x35, 0x35, 0x35, 0x35, 0x35, 0x88, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64,
  0x00, 0x00, 0x80, 0x25, 0xa0, 0x28, 0xef, 0x61, 0x34, 0x0b, 0xd9, 0x39, 0xbc, 0x21, 0x95, 0xfe, 0x53, 0x75, 0x67, 0x86,
  0x60, 0x03, 0xe1, 0xa1, 0x5d, 0x3c, 0x71, 0xff, 0x63, 0xe1, 0x59, 0x06, 0x20, 0xaa, 0x63, 0x62, 0x76, 0xa0, 0x67, 0xcb,
  0xe9, 0xd8, 0x99, 0x7f, 0x76, 0x1a, 0xec, 0xb7, 0x03, 0x30, 0x4b, 0x38, 0x00, 0xcc, 0xf5, 0x55, 0xc9, 0xf3, 0xdc, 0x64,
  0x21, 0x4b, 0x29, 0x7f, 0xb1, 0x96, 0x6a, 0x3b, 0x6d, 0x83
};
static const uint64_t ends[] = {0, sizeof raw};
static const uint8_t sender[20] = {
  0x9d, 0x8a, 0x62, 0xf6, 0x56, 0xa8, 0xd1, 0x61, 0x5c, 0x12, 0x94, 0xfd, 0x71, 0xe9, 0xcf, 0xb3, 0xe4, 0x85, 0x5a, 0x4f
};

static int fail(const char *what, lockstep_code code) {
  char text[512] = "";
  lockstep_last_error(0, text, sizeof text);
  fprintf(stderr, "%s: code %d: %s\n", what, (int)code, text);
  return 1;
}

/* Room for as much as an output says that there is. */
static void room(lockstep_out *out) {
  out->data = calloc(out->len + 1, 1);
  out->capacity = out->data ? out->len : 0;
}

static void room_u64(lockstep_out_u64 *out) {
  out->data = calloc(out->len + 1, 8);
  out->capacity = out->data ? out->len : 0;
}

static void hex(const uint8_t *bytes, size_t len) {
  printf("0x");
  for (size_t i = 0; i < len; i++) printf("%02x", bytes[i]);
}

int main(void) {
  lockstep_options options = {.backend = LOCKSTEP_BACKEND_CPU};
  lockstep_handle lockstep;
  lockstep_code code = lockstep_create(LOCKSTEP_ABI_VERSION, &options, &lockstep);
  if (code != LOCKSTEP_CODE_OK) return fail("lockstep_create", code);

  lockstep_block_env env = {.chain_id = 1, .number = 1, .gas_limit = 30000000, .base_fee = 1000000000, .fork = LOCKSTEP_FORK_OSAKA, .beneficiary = {0xbe}};
  lockstep_items transactions = {.bytes = {raw, sizeof raw}, .offsets = {ends, 2}};

  /* The sender's nonce is 9, and it has 2^61 wei. Whatever else is read has to be known not to exist: so far that is the beneficiary. */
  static const uint8_t balance[32] = {[24] = 0x20}, no_code[32];
  static const uint64_t nonce[] = {9};
  uint8_t absent[2][20] = {{0xbe}};
  lockstep_state state = {
    .addresses = {sender, 20}, .balances = {balance, 32}, .nonces = {nonce, 1}, .code_hashes = {no_code, 32},
    .absent = {absent[0], 20}, .flags = LOCKSTEP_STRICT,
  };
  lockstep_results results = {.wants = LOCKSTEP_WANT_CHANGES};
  code = lockstep_execute(lockstep, &env, &transactions, &state, &results);
  if (code != LOCKSTEP_CODE_STATE) return fail("what is not in the snapshot", code);
  char text[512];
  lockstep_last_error(lockstep, text, sizeof text);
  printf("%s\n", text);

  /* Now it is. Nothing has room yet, so the results are kept, and the outputs say what they take. */
  for (int i = 0; i < 20; i++) absent[1][i] = 0x35;
  state.absent.len = 40;
  code = lockstep_execute(lockstep, &env, &transactions, &state, &results);
  if (code != LOCKSTEP_CODE_TOO_SMALL) return fail("lockstep_execute", code);
  lockstep_out *bytes[] = {
    &results.statuses, &results.senders, &results.tx_hashes, &results.contract_addresses, &results.account_addresses, &results.account_changes,
    &results.account_balances, &results.account_code_hashes, &results.slot_addresses, &results.slot_keys, &results.slot_values,
    &results.code_hashes, &results.codes,
  };
  lockstep_out_u64 *numbers[] = {&results.tx_gas_used, &results.cumulative_gas_used, &results.log_offsets, &results.account_nonces, &results.code_offsets};
  enum { BYTES = sizeof bytes / sizeof *bytes, NUMBERS = sizeof numbers / sizeof *numbers };
  for (size_t i = 0; i < BYTES; i++) room(bytes[i]);
  for (size_t i = 0; i < NUMBERS; i++) room_u64(numbers[i]);
  code = lockstep_execute(lockstep, NULL, NULL, NULL, &results);
  if (code != LOCKSTEP_CODE_OK) return fail("fetching", code);

  for (size_t i = 0; i < results.statuses.len; i++) {
    printf("transaction %zu: status %d, %llu gas\n", i, results.statuses.data[i], (unsigned long long)results.tx_gas_used.data[i]);
  }
  for (size_t i = 0; i < results.account_changes.len; i++) {
    hex(results.account_addresses.data + 20 * i, 20);
    printf(": nonce %llu, balance ", (unsigned long long)results.account_nonces.data[i]);
    hex(results.account_balances.data + 32 * i, 32);
    printf("\n");
  }

  for (size_t i = 0; i < BYTES; i++) free(bytes[i]->data);
  for (size_t i = 0; i < NUMBERS; i++) free(numbers[i]->data);
  code = lockstep_destroy(lockstep);
  return code == LOCKSTEP_CODE_OK ? 0 : fail("lockstep_destroy", code);
}
