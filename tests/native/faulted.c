/* Loaded before the C library: system calls that fail, or do less than they were asked to.

       FAULTS        a line each: deed first times errno bytes pattern
       FAULTS_NOTED  file for a line per fault: deed, and the object file that called

   Of the calls that match the pattern (fnmatch over the whole path, `*` also takes `/`), those
   number `first` to `first + times - 1` fail with the errno or, where that is 0, get at most so
   many bytes. Deeds are named in the exported functions below. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FAULTS_MAXIMUM 8
#define DEED_BYTES 16
#define PATH_BYTES 4096

typedef struct {
    char deed[DEED_BYTES];
    char pattern[PATH_BYTES];
    long first, times, bytes, seen;
    int number;
} Fault;

static Fault faults[FAULTS_MAXIMUM];
static int fault_count;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CALLER __builtin_return_address(0)

__attribute__((constructor)) static void read_faults(void) {
    const char *text = getenv("FAULTS");
    while (text != NULL && *text != '\0' && fault_count < FAULTS_MAXIMUM) {
        Fault *fault = &faults[fault_count];
        if (sscanf(text, "%15s %ld %ld %d %ld %4095s", fault->deed, &fault->first, &fault->times,
                   &fault->number, &fault->bytes, fault->pattern) != 6) {
            fprintf(stderr, "no fault: %s\n", text);
            abort();
        }
        fault_count++;
        text = strchr(text, '\n');
        text = text == NULL ? NULL : text + 1;
    }
}

static void note(const char *deed, void *caller) {
    const char *path = getenv("FAULTS_NOTED");
    FILE *file = path == NULL ? NULL : fopen(path, "a");
    Dl_info found;
    if (file != NULL) {
        fprintf(file, "%s %s\n", deed, dladdr(caller, &found) != 0 ? found.dli_fname : "?");
        fclose(file);
    }
}

/* The fault that this call meets, or NULL. */
static const Fault *due(const char *deed, const char *path, void *caller) {
    for (int index = 0; index < fault_count; index++) {
        Fault *fault = &faults[index];
        if (strcmp(fault->deed, deed) == 0 && fnmatch(fault->pattern, path, 0) == 0) {
            long after = __atomic_add_fetch(&fault->seen, 1, __ATOMIC_SEQ_CST) - fault->first;
            if (after >= 0 && after < fault->times) {
                note(deed, caller);
                errno = fault->number;
                return fault;
            }
        }
    }
    return NULL;
}

static const Fault *due_of(const char *deed, int file, void *caller) {
    char link[64], path[PATH_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = '\0';
    return due(deed, path, caller);
}

/* Of a name in an opened folder. */
static const Fault *due_in(const char *deed, int folder, const char *name, void *caller) {
    char link[64], path[2 * PATH_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = name[0] == '/' ? 0 : readlink(link, path, PATH_BYTES);
    length = length < 0 ? 0 : length;
    snprintf(path + length, sizeof path - (size_t)length, "/%s", name);
    return due(deed, path, caller);
}

static size_t at_most(const Fault *fault, size_t bytes) {
    return fault == NULL || (size_t)fault->bytes > bytes ? bytes : (size_t)fault->bytes;
}

/* ------------------------------------------------------------------ open */

static const char *opening(int flags) {
    return (flags & O_TMPFILE) == O_TMPFILE ? "unnamed" : "open";
}

int openat(int folder, const char *name, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return due_in(opening(flags), folder, name, CALLER) ? -1
                                                        : NEXT(openat)(folder, name, flags, mode);
}

int openat64(int, const char *, int, ...) __attribute__((alias("openat")));

/* ------------------------------------------------------------------ read */

ssize_t pread(int file, void *buffer, size_t bytes, off_t offset) {
    const Fault *fault = due_of("read", file, CALLER);
    return fault && fault->number ? -1 : NEXT(pread)(file, buffer, at_most(fault, bytes), offset);
}

ssize_t pread64(int, void *, size_t, off64_t) __attribute__((alias("pread")));

/* Python reads into one buffer at a time. */
ssize_t preadv2(int file, const struct iovec *buffers, int count, off_t offset, int flags) {
    const Fault *fault = due_of("read", file, CALLER);
    if (fault == NULL) {
        return NEXT(preadv2)(file, buffers, count, offset, flags);
    }
    return fault->number
               ? -1
               : NEXT(pread)(file, buffers->iov_base, at_most(fault, buffers->iov_len), offset);
}

ssize_t preadv64v2(int, const struct iovec *, int, off64_t, int) __attribute__((alias("preadv2")));

ssize_t preadv(int file, const struct iovec *buffers, int count, off_t offset) {
    const Fault *fault = due_of("read", file, CALLER);
    if (fault == NULL) {
        return NEXT(preadv)(file, buffers, count, offset);
    }
    return fault->number
               ? -1
               : NEXT(pread)(file, buffers->iov_base, at_most(fault, buffers->iov_len), offset);
}

ssize_t preadv64(int, const struct iovec *, int, off64_t) __attribute__((alias("preadv")));

/* ------------------------------------------------------------------ write, sync */

ssize_t pwrite(int file, const void *buffer, size_t bytes, off_t offset) {
    const Fault *fault = due_of("write", file, CALLER);
    return fault && fault->number ? -1 : NEXT(pwrite)(file, buffer, at_most(fault, bytes), offset);
}

ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));

/* No machine loses its power in a test: nothing has to reach the disk. */
int syncfs(int file) { return due_of("sync", file, CALLER) ? -1 : 0; }

/* ------------------------------------------------------------------ publish */

int linkat(int from, const char *name, int folder, const char *final, int flags) {
    return due_in("link", folder, final, CALLER) ? -1
                                                 : NEXT(linkat)(from, name, folder, final, flags);
}

int renameat2(int from, const char *name, int folder, const char *final, unsigned flags) {
    return due_in("rename", folder, final, CALLER)
               ? -1
               : NEXT(renameat2)(from, name, folder, final, flags);
}

int renameat(int from, const char *name, int folder, const char *final) {
    return due_in("rename", folder, final, CALLER) ? -1
                                                   : NEXT(renameat)(from, name, folder, final);
}

long syscall(long number, ...) {
    long given[6];
    va_list more;
    va_start(more, number);
    for (int index = 0; index < 6; index++) {
        given[index] = va_arg(more, long);
    }
    va_end(more);
    if (number == SYS_renameat2 &&
        due_in("rename", (int)given[2], (const char *)given[3], CALLER) != NULL) {
        return -1;
    }
    if (number == SYS_openat2 &&
        due_in("open", (int)given[0], (const char *)given[1], CALLER) != NULL) {
        return -1;
    }
    return NEXT(syscall)(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
