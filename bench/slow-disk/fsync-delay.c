/*
 * A slow disk on a fast one: LD_PRELOADed into a measured process, this makes every fsync and fdatasync last
 * FSYNC_DELAY_MICROS longer, as on a network disk in the cloud, and counts them in FSYNC_COUNT_FILE (one 64-bit number,
 * shared memory), which shows that a contender really syncs what it calls durable.
 *
 * The call sleeps rather than spins: a disk that is waited for leaves the processor to others.
 *
 * Writes to a descriptor opened with O_DSYNC are syncs too but stay as fast as they are. Of the contenders only lmdb
 * uses one, for its meta page, so on a real slow disk it would wait twice a commit where it waits once here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static struct timespec delay;
static _Atomic uint64_t *sync_count;

__attribute__((constructor)) static void set_up(void) {
  real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

  const char *micros_text = getenv("FSYNC_DELAY_MICROS");
  long micros = micros_text ? strtol(micros_text, NULL, 10) : 0;
  delay.tv_sec = micros / 1000000;
  delay.tv_nsec = (micros % 1000000) * 1000;

  const char *path = getenv("FSYNC_COUNT_FILE");
  if (!path) return;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  if (ftruncate(fd, sizeof(uint64_t)) == 0) {
    void *shared = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared != MAP_FAILED) sync_count = shared;
  }
  close(fd);
}

static int finish(int result) {
  int saved = errno;
  struct timespec left = delay;
  while ((left.tv_sec || left.tv_nsec) && nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
  if (sync_count) atomic_fetch_add(sync_count, 1);
  errno = saved;
  return result;
}

int fsync(int fd) { return finish(real_fsync(fd)); }

int fdatasync(int fd) { return finish(real_fdatasync(fd)); }
