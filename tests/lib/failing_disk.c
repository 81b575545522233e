/* Loaded into a process by LD_PRELOAD: makes the disk under $FAILING_DISK fail. The file $FAILING_DISK_ORDER says how;
 * while it is absent all is well. "stall" and a number: writes, flushes and new files wait until it is gone; a file named
 * after the order, a dot and these words is made by who waits. A number: they fail with it as errno. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* "order.stall 1" */
static void tell_of_wait(const char *order, const char *text) {
  char sign[PATH_MAX];
  snprintf(sign, sizeof sign, "%s.%s", order, text);
  FILE *file = fopen(sign, "w");
  if (file != NULL) fclose(file);
}

/* 0: go on. Else the errno to fail with. Waits while stalled. */
static int order_for(const char *path) {
  const char *disk = getenv("FAILING_DISK");
  const char *order = getenv("FAILING_DISK_ORDER");
  if (disk == NULL || order == NULL || strncmp(path, disk, strlen(disk)) != 0) return 0;
  for (;;) {
    char text[16] = "";
    FILE *file = fopen(order, "r");
    if (file == NULL) return 0;
    const char *read = fgets(text, sizeof text, file);
    fclose(file);
    if (read == NULL) return 0;
    if (strncmp(text, "stall", 5) != 0) return atoi(text);
    tell_of_wait(order, text);
    usleep(5000);
  }
}

static int order_for_descriptor(int fd) {
  char link[64];
  char path[PATH_MAX];
  if (getenv("FAILING_DISK_ORDER") == NULL || access(getenv("FAILING_DISK_ORDER"), F_OK) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return order_for(path);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  static ssize_t (*next)(int, const void *, size_t);
  if (next == NULL) next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  const int refused = order_for_descriptor(fd);
  if (refused == 0) return next(fd, bytes, count);
  errno = refused;
  return -1;
}

static int flush(const char *name, int fd) {
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  const int refused = order_for_descriptor(fd);
  if (refused == 0) return next(fd);
  errno = refused;
  return -1;
}

int fsync(int fd) { return flush("fsync", fd); }
int fdatasync(int fd) { return flush("fdatasync", fd); }

static int open_as(const char *name, const char *path, int flags, mode_t mode) {
  int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
  const int refused = (flags & O_CREAT) != 0 ? order_for(path) : 0;
  if (refused == 0) return next(path, flags, mode);
  errno = refused;
  return -1;
}

/* A link is a new file too. */
int link(const char *from, const char *to) {
  int (*next)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "link");
  const int refused = order_for(to);
  if (refused == 0) return next(from, to);
  errno = refused;
  return -1;
}

#define OPEN_AS(name)                                   \
  int name(const char *path, int flags, ...) {          \
    va_list more;                                       \
    va_start(more, flags);                              \
    const mode_t mode = va_arg(more, mode_t);           \
    va_end(more);                                       \
    return open_as(#name, path, flags, mode);           \
  }
OPEN_AS(open)
OPEN_AS(open64)
