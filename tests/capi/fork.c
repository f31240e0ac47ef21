/* A forked process has none of its parent's threads: its parent's handles are a code in it, at once, and it may have handles of its own.
 *
 *     fork */
#ifdef __linux__
#define _GNU_SOURCE
#include <sched.h>
#else
#define _XOPEN_SOURCE 700
#endif
#include <lockstep.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 1000, FORKS = 20 };

static lockstep_handle lockstep;
static uint64_t token;
static volatile int stop;

static void check(int holds, const char *what) {
  if (holds) return;
  char text[512] = "";
  lockstep_last_error(0, text, sizeof text);
  fprintf(stderr, "fork: %s: %s\n", what, text);
  _exit(1);
}

/* Enough for the engine's threads to have a part in it. */
static lockstep_code recover(lockstep_handle handle) {
  static uint8_t words[32 * COUNT], parities[COUNT];
  uint8_t addresses[20 * COUNT], statuses[COUNT] = {0};
  lockstep_bytes column = {words, sizeof words};
  memset(words, 1, sizeof words);
  lockstep_signatures signatures = {.hashes = column, .r = column, .s = column, .parities = {parities, COUNT}};
  lockstep_signers signers = {.addresses = {.data = addresses, .capacity = sizeof addresses}, .statuses = {.data = statuses, .capacity = COUNT}};
  lockstep_code code = lockstep_recover(handle, &signatures, &signers);
  if (code == LOCKSTEP_CODE_OK) check(statuses[0] != 0 && statuses[COUNT - 1] == statuses[0], "statuses");
  return code;
}

static lockstep_code simulate(uint64_t of, uint64_t *kept) {
  lockstep_block_env env = {.chain_id = 1, .number = 1, .gas_limit = 1000000, .fork = LOCKSTEP_FORK_OSAKA};
  lockstep_state state = {0};
  lockstep_calls calls = {0};
  lockstep_answers answers = {.token = of};
  lockstep_code code = lockstep_simulate(lockstep, &env, &state, &calls, &answers);
  if (kept != NULL) *kept = answers.token;
  return code;
}

/* The first process of a namespace ignores signals that it has no handler for. */
static void late(int signal) {
  (void)signal;
  _exit(2);
}

static void child(int may_create) {
  signal(SIGALRM, late);
  alarm(60);
  char text[200] = "";
  check(recover(lockstep) == LOCKSTEP_CODE_FORKED, "recover in the child");
  check(lockstep_last_error(0, text, sizeof text) > 1 && strstr(text, "fork") != NULL, "the text says why");
  check(simulate(0, NULL) == LOCKSTEP_CODE_FORKED && simulate(token, NULL) == LOCKSTEP_CODE_FORKED, "simulate in the child");
  check(lockstep_last_error(lockstep, text, sizeof text) == 1, "nothing is said of a handle of the parent's");
  check(lockstep_discard(lockstep, token) == LOCKSTEP_CODE_FORKED, "discard in the child");
  check(lockstep_destroy(lockstep) == LOCKSTEP_CODE_FORKED, "destroy in the child");
  check(recover(lockstep + (1 << 30)) == LOCKSTEP_CODE_BAD_HANDLE && recover(0) == LOCKSTEP_CODE_BAD_HANDLE, "no handle in the child");
  if (may_create) {
    lockstep_options options = {.backend = LOCKSTEP_BACKEND_CPU};
    lockstep_handle own;
    check(lockstep_create(LOCKSTEP_ABI_VERSION, &options, &own) == LOCKSTEP_CODE_OK && own > lockstep, "create in the child");
    check(recover(own) == LOCKSTEP_CODE_OK, "the child's own");
    check(recover(lockstep) == LOCKSTEP_CODE_FORKED, "the parent's is still not the child's");
    check(lockstep_destroy(own) == LOCKSTEP_CODE_OK && recover(own) == LOCKSTEP_CODE_BAD_HANDLE, "destroy");
  }
  _exit(0);
}

/* Holds the locks of the library for as much of the time as it can. */
static void *busy(void *unused) {
  lockstep_options options = {.backend = LOCKSTEP_BACKEND_CPU, .threads = 1};
  while (!stop) {
    lockstep_handle own;
    check(lockstep_create(LOCKSTEP_ABI_VERSION, &options, &own) == LOCKSTEP_CODE_OK, "create");
    check(lockstep_destroy(own) == LOCKSTEP_CODE_OK && recover(own) == LOCKSTEP_CODE_BAD_HANDLE, "destroy");
  }
  return unused;
}

static void forks(int times, int may_create) {
  for (int i = 0; i < times; i++) {
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) child(may_create);
    int status;
    check(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ends well");
  }
}

static void create(void) {
  lockstep_options options = {.backend = LOCKSTEP_BACKEND_CPU};
  check(lockstep_create(LOCKSTEP_ABI_VERSION, &options, &lockstep) == LOCKSTEP_CODE_OK, "create");
  check(recover(lockstep) == LOCKSTEP_CODE_OK, "recover");
  check(simulate(0, &token) == LOCKSTEP_CODE_TOO_SMALL && token != 0, "simulate");
}

/* A child with its parent's pid: each is the first process of a namespace. Where those may not be had, says so. */
static void namesakes(void) {
#ifdef __linux__
  enum { NONE = 3 };
  pid_t pid = fork();
  check(pid >= 0, "fork");
  if (pid == 0) {
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) _exit(NONE);
    pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
      check(getpid() == 1, "first of a namespace");
      create();
      if (unshare(CLONE_NEWPID) != 0) _exit(NONE);
      pid = fork();
      check(pid >= 0, "fork");
      if (pid == 0) {
        check(getpid() == 1, "namesake");
        child(1);
      }
    }
    int status;
    check(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "the namesake ends");
    _exit(WEXITSTATUS(status));
  }
  int status;
  check(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "the namesakes end");
  if (WEXITSTATUS(status) == NONE) {
    printf("fork: a child with its parent's pid is not tried: no pid namespaces here\n");
    return;
  }
  check(WEXITSTATUS(status) == 0, "a child with its parent's pid ends well");
#endif
}

int main(void) {
  namesakes();
  create();
  forks(3, 1);
  pthread_t thread;
  check(pthread_create(&thread, NULL, busy, NULL) == 0, "pthread_create");
  forks(FORKS, 0);
  stop = 1;
  pthread_join(thread, NULL);
  check(recover(lockstep) == LOCKSTEP_CODE_OK, "the parent goes on");
  check(lockstep_discard(lockstep, token) == LOCKSTEP_CODE_OK, "discard");
  check(lockstep_destroy(lockstep) == LOCKSTEP_CODE_OK, "destroy");
  return 0;
}
