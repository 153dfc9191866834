/* PID 1 of a pod's sandbox: holds its namespaces, reaps what is left to it, ends when told. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void done(int s) { (void)s; _exit(0); }
static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0); }

int main(void) {
  struct sigaction d = {.sa_handler = done}, r = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  sigaction(SIGINT, &d, 0);
  sigaction(SIGTERM, &d, 0);
  sigaction(SIGCHLD, &r, 0);
  for (;;) pause();
}
