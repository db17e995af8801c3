/* Kill strace once before it holds its command: the tracer, the program to be, or that one while it
tries on a child of its own what can be traced ("trial"), as the file KILLED_AT_START says, which is
removed, and where a word of the command has the text that it says.

Loaded into strace by LD_PRELOAD. The tracer attaches to its grandparent; before, the program to be
tries whether that can be done, on a child of its own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int parent_of(int process) {
  char path[64];
  int parent = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", process);
  FILE *file = fopen(path, "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%*d %*s %*c %d", &parent) != 1) parent = 0;
  fclose(file);
  return parent;
}

static int is_in_command(const char *text) {
  for (char **each = environ; *each != NULL; each++)
    if (strncmp(*each, "MEMORI_WORD_", 12) == 0 && strstr(*each, text) != NULL) return 1;
  return 0;
}

static int shall_die(const char *part) {
  const char *path = getenv("KILLED_AT_START");
  char who[16] = "", text[16] = "";
  FILE *file = path == NULL ? NULL : fopen(path, "r");
  if (file == NULL) return 0;
  int count = fscanf(file, "%15s %15s", who, text);
  fclose(file);
  return count == 2 && is_in_command(text) && strcmp(who, part) == 0 && unlink(path) == 0;
}

long ptrace(int request, int process, void *address, void *value) {
  long (*real)(int, int, void *, void *) =
      (long (*)(int, int, void *, void *))dlsym(RTLD_NEXT, "ptrace");
  int trying = getppid();
  int attaches = request == 0x4206 || request == 16;
  const char *part = process == parent_of(getppid()) ? "tracer" : "program";
  if (attaches && shall_die(part)) kill(getpid(), SIGKILL);
  long answer = real(request, process, address, value);
  if (request == 0 /* PTRACE_TRACEME */ && shall_die("trial")) { /* the child, which is about to stop */
    kill(getppid(), SIGKILL);
    while (getppid() == trying) usleep(1000);
  }
  return answer;
}
