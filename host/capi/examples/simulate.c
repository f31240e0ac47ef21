/* Asks a contract in several ways: on the snapshot, in a sequence, with overrides and an access list.
 *
 *     cc -I host/capi/include host/capi/examples/simulate.c -L target/release -llockstep -o simulate
 *     LD_LIBRARY_PATH=target/release ./simulate */
#include <lockstep.h>
#include <stdio.h>
#include <string.h>

/* Adds one to its slot 0, and returns it. */
static const uint8_t counter[] = {0x5f, 0x54, 0x60, 1, 0x01, 0x80, 0x5f, 0x55, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3};
static const uint64_t counter_ends[] = {0, sizeof counter};
static const uint8_t counter_address[20] = {0xcc};

enum { CALLS = 6 };

static int fail(const char *what, lockstep_code code) {
  char text[512] = "";
  lockstep_last_error(0, text, sizeof text);
  fprintf(stderr, "%s: code %d: %s\n", what, (int)code, text);
  return 1;
}

int main(void) {
  lockstep_options options = {.backend = LOCKSTEP_BACKEND_CPU};
  lockstep_handle lockstep;
  lockstep_code code = lockstep_create(LOCKSTEP_ABI_VERSION, &options, &lockstep);
  if (code != LOCKSTEP_CODE_OK) return fail("lockstep_create", code);
  lockstep_block_env env = {.chain_id = 1, .number = 1, .gas_limit = 30000000, .fork = LOCKSTEP_FORK_OSAKA};

  /* The snapshot: the counter stands at 6. A code is known by its hash. */
  static const uint8_t zeros[32], six[32] = {[31] = 6}, forty[32] = {[31] = 40}, one_wei[32] = {[31] = 1};
  static const uint64_t nonce[] = {1};
  uint8_t code_hash[32];
  lockstep_items codes = {.bytes = {counter, sizeof counter}, .offsets = {counter_ends, 2}};
  lockstep_out hash = {.data = code_hash, .capacity = 32};
  code = lockstep_keccak256(lockstep, &codes, &hash);
  if (code != LOCKSTEP_CODE_OK) return fail("lockstep_keccak256", code);
  lockstep_state state = {
    .addresses = {counter_address, 20}, .balances = {zeros, 32}, .nonces = {nonce, 1}, .code_hashes = {code_hash, 32}, .codes = codes,
    .slot_addresses = {counter_address, 20}, .slot_keys = {zeros, 32}, .slot_values = {six, 32},
  };

  /* Calls 0 to 2 are one sequence, the others are alone: the 3rd as it is, the 4th where the counter stands at 40 and its slot is warm, the
   * 5th with a wei that its sender has not. */
  uint8_t from[CALLS][20] = {{0}}, to[CALLS][20], values[CALLS][32] = {{0}};
  for (int i = 0; i < CALLS; i++) memcpy(to[i], counter_address, 20);
  memcpy(values[5], one_wei, 32);
  static const uint64_t none[CALLS + 1], sequences[] = {0, 3, 4, 5, 6}, first_set_for_4[CALLS] = {[4] = 1}, one[] = {0, 1};
  static const uint64_t listed[CALLS + 1] = {[5] = 1, [6] = 1};
  static const uint8_t flags[] = {0};
  lockstep_calls calls = {
    .from = {from[0], sizeof from}, .to = {to[0], sizeof to}, .values = {values[0], sizeof values}, .inputs = {.offsets = {none, CALLS + 1}},
    .sequences = {sequences, 5},
    .access_lists = {.account_offsets = {listed, CALLS + 1}, .addresses = {counter_address, 20}, .key_offsets = {one, 2}, .keys = {zeros, 32}},
    .overrides = {.account_offsets = {one, 2}, .addresses = {counter_address, 20}, .flags = {flags, 1}, .slot_offsets = {one, 2},
                  .slot_keys = {zeros, 32}, .slot_values = {forty, 32}},
    .overrides_of = {first_set_for_4, CALLS},
  };

  /* Every answer has 32 bytes at most, so there is room at once. */
  uint8_t statuses[CALLS], contracts[CALLS][20], outputs[CALLS][32], errors[LOCKSTEP_MAX_ERROR * CALLS];
  uint64_t gas[CALLS], output_ends[CALLS + 1], error_ends[CALLS + 1];
  lockstep_answers answers = {
    .statuses = {.data = statuses, .capacity = sizeof statuses}, .contract_addresses = {.data = contracts[0], .capacity = sizeof contracts},
    .outputs = {.data = outputs[0], .capacity = sizeof outputs}, .errors = {.data = errors, .capacity = sizeof errors},
    .gas_used = {.data = gas, .capacity = CALLS}, .output_offsets = {.data = output_ends, .capacity = CALLS + 1},
    .error_offsets = {.data = error_ends, .capacity = CALLS + 1},
  };
  code = lockstep_simulate(lockstep, &env, &state, &calls, &answers);
  if (code != LOCKSTEP_CODE_OK) return fail("lockstep_simulate", code);
  for (size_t i = 0; i < CALLS; i++) {
    if (statuses[i] == LOCKSTEP_TX_STATUS_SUCCESS) {
      printf("call %zu: %d after %llu gas\n", i, answers.outputs.data[output_ends[i + 1] - 1], (unsigned long long)gas[i]);
    } else {
      printf("call %zu: status %d: %.*s\n", i, statuses[i], (int)(error_ends[i + 1] - error_ends[i]), (const char *)errors + error_ends[i]);
    }
  }

  code = lockstep_destroy(lockstep);
  return code == LOCKSTEP_CODE_OK ? 0 : fail("lockstep_destroy", code);
}
