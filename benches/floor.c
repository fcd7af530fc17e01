/* The floor of the benchmarks, in C: see examples/floor.rs, of which this is the twin. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static sigset_t before;

static pid_t start(char **program) {
  pid_t child = vfork();
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &before, 0);
    execve(program[0], program, environ);
    _exit(127);
  }
  return child;
}

int main(int count, char **words) {
  if (count < 3) return 2;
  int copies = atoi(words[1]);
  pid_t *children = calloc(copies + 1, sizeof *children);
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGCHLD);
  sigprocmask(SIG_BLOCK, &watched, &before);
  for (int i = 0; i < copies; i++) children[i] = start(words + 2);
  for (;;) {
    int signal = sigwaitinfo(&watched, 0);
    if (signal == SIGTERM) break;
    pid_t gone;
    while ((gone = waitpid(-1, 0, WNOHANG)) > 0)
      for (int i = 0; i < copies; i++)
        if (children[i] == gone) {
          children[i] = start(words + 2);
          break;
        }
  }
  for (int i = 0; i < copies; i++) kill(children[i], SIGTERM);
  while (waitpid(-1, 0, 0) > 0) {
  }
  return 0;
}
