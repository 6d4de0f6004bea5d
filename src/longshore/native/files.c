/* Deeds on single files: opened, looked at, read, written, made, given their metadata. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES (128 * 1024) /* read, hashed and written at once: stays in the cache */

#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define CREATE_FLAGS (O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
#define UNNAMED_FLAGS (O_RDWR | O_TMPFILE | O_CLOEXEC)
#define STAGED_MODE 0600 /* nobody else reads a file before it is published */
#define PERMISSION_BITS 07777
#define SPECIAL_BITS 07000
#define BLOCK_BYTES 512
#define UNCHANGED ((uid_t)-1)

/* ------------------------------------------------------------------ the source */

int open_source(Call *call, const char *name) {
    int file = openat(call->source, name, READ_FLAGS | call->without_atime);
    if (file < 0 && errno == EPERM && call->without_atime != 0) {
        call->without_atime = 0; /* only owners may ask for it */
        file = openat(call->source, name, READ_FLAGS);
    }
    return file;
}

/* Whether there is a hole before the end of the file. */
static bool has_holes(int file, const struct stat *found) {
    if ((int64_t)found->st_blocks * BLOCK_BYTES >= (int64_t)found->st_size) {
        return false;
    }
    return lseek(file, 0, SEEK_HOLE) != found->st_size; /* a file system may compress, too */
}

bool is_usual(const Call *call, int file, struct stat *found) {
    return fstat(file, found) == 0 && S_ISREG(found->st_mode) && found->st_nlink == 1 &&
           (int64_t)found->st_size <= call->size_maximum && !has_holes(file, found);
}

bool is_unchanged(int file, const struct stat *before) {
    struct stat now;
    return fstat(file, &now) == 0 && now.st_size == before->st_size &&
           now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before->st_mtim.tv_nsec &&
           (now.st_nlink != before->st_nlink || /* a name that goes changes the time of change */
            (now.st_ctim.tv_sec == before->st_ctim.tv_sec &&
             now.st_ctim.tv_nsec == before->st_ctim.tv_nsec));
}

/* ------------------------------------------------------------------ the content */

bool read_exactly(int file, char *chunk, size_t bytes, off_t offset) {
    while (bytes > 0) {
        ssize_t count = pread(file, chunk, bytes, offset);
        if (count <= 0) {
            return false;
        }
        chunk += count;
        bytes -= (size_t)count;
        offset += count;
    }
    return true;
}

bool write_exactly(int file, const char *chunk, size_t bytes, off_t offset) {
    while (bytes > 0) {
        ssize_t count = pwrite(file, chunk, bytes, offset);
        if (count <= 0) {
            return false;
        }
        chunk += count;
        bytes -= (size_t)count;
        offset += count;
    }
    return true;
}

static size_t chunk_at(off_t offset, off_t size) {
    off_t left = size - offset;
    return left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
}

bool pass(const Call *call, int file, int target, off_t size, Hash128 *hash) {
    bool is_short = size <= CHUNK_BYTES;
    if (!is_short && call->hash->reset(call->state) != 0) {
        return false;
    }
    for (off_t offset = 0; offset < size;) {
        size_t bytes = chunk_at(offset, size);
        if (!read_exactly(file, call->chunk, bytes, offset) ||
            (!is_short && call->hash->update(call->state, call->chunk, bytes) != 0) ||
            (target >= 0 && !write_exactly(target, call->chunk, bytes, offset))) {
            return false;
        }
        offset += (off_t)bytes;
    }
    *hash = is_short ? call->hash->whole(call->chunk, (size_t)size)
                     : call->hash->digest(call->state);
    return true;
}

bool verify(const Call *call, int target, const struct stat *written, off_t size,
                   Hash128 hash) {
    Hash128 found;
    if ((call->flags & FROM_MEDIUM) != 0 &&
        (fdatasync(target) != 0 || posix_fadvise(target, 0, 0, POSIX_FADV_DONTNEED) != 0)) {
        return false;
    }
    return written->st_size == size && pass(call, target, -1, size, &found) &&
           found.low == hash.low && found.high == hash.high;
}

/* ------------------------------------------------------------------ the metadata */

static bool means_not_kept(int error) {
    return error == EPERM || error == EACCES || error == EINVAL || error == ENOSYS ||
           error == EOPNOTSUPP;
}

/* 1 changed, 0 this target does not keep it, -1 another error. */
static int change_owner(int target, uid_t uid, gid_t gid) {
    if (fchown(target, uid, gid) == 0) {
        return 1;
    }
    return means_not_kept(errno) ? 0 : -1;
}

/* What is lost of owner and group, or -1. */
static int set_owner(int target, const struct stat *now, const struct stat *wanted) {
    uid_t uid = wanted->st_uid == now->st_uid ? UNCHANGED : wanted->st_uid;
    gid_t gid = wanted->st_gid == now->st_gid ? UNCHANGED : wanted->st_gid;
    if (uid == UNCHANGED && gid == UNCHANGED) {
        return 0;
    }
    int changed = change_owner(target, uid, gid);
    if (changed != 0) {
        return changed < 0 ? -1 : 0;
    }
    if (uid == UNCHANGED) {
        return LOST_GID;
    }
    /* Who may not give a file away may still pass it to a group of his own. */
    changed = gid == UNCHANGED ? 1 : change_owner(target, UNCHANGED, gid);
    return changed < 0 ? -1 : changed ? LOST_UID : LOST_UID | LOST_GID;
}

static bool set_mode(int target, mode_t mode) {
    struct stat now;
    mode &= PERMISSION_BITS;
    if (fchmod(target, mode) != 0) {
        return false;
    }
    /* The kernel drops special bits in silence when the caller has no right to them. */
    return (mode & SPECIAL_BITS) == 0 ||
           (fstat(target, &now) == 0 && (now.st_mode & PERMISSION_BITS) == mode);
}

bool set_metadata(Call *call, int source, int target, const struct stat *written,
                         ssize_t attributes, Staged *staged) {
    const struct stat *found = &staged->found;
    staged->lost = set_owner(target, written, found);
    if (staged->lost < 0 || (staged->lost > 0 && (found->st_mode & SPECIAL_BITS) != 0)) {
        return false;
    }
    if (attributes > 0 && !copy_attributes(source, target, &call->room, attributes)) {
        return false;
    }
    const struct timespec times[2] = {found->st_atim, found->st_mtim};
    return set_mode(target, found->st_mode) &&
           ((call->flags & KEEP_TIMES) == 0 || futimens(target, times) == 0);
}

/* ------------------------------------------------------------------ a new file */

/* A new file without a name, or NAMED where there can be none, from then on. */
static int create_unnamed(Call *call) {
    if (call->unnamed_below <= 0) {
        return NAMED;
    }
    int target = openat(call->target, ".", UNNAMED_FLAGS, STAGED_MODE);
    if (target >= 0 && target < call->unnamed_below) {
        return target;
    }
    if (target >= 0) {
        close(target);
    }
    call->unnamed_below = 0;
    return NAMED;
}

bool create(Call *call, const char *temporary, Staged *staged, Fill *fill, const void *what) {
    int target = create_unnamed(call);
    if (target != NAMED) {
        bool is_filled = fill(call, target, staged, what);
        if (!is_filled) {
            close(target);
        }
        staged->descriptor = is_filled ? target : NAMED;
        return is_filled;
    }
    target = openat(call->target, temporary, CREATE_FLAGS, STAGED_MODE);
    if (target < 0) {
        return false;
    }
    staged->descriptor = NAMED;
    bool is_staged = fill(call, target, staged, what);
    /* Network file systems tell of lost writes when a file is closed. */
    is_staged = close(target) == 0 && is_staged;
    if (!is_staged) {
        unlinkat(call->target, temporary, 0);
    }
    return is_staged;
}

/* ------------------------------------------------------------------ the call */

bool prepare_call(Call *call) {
    call->chunk = PyMem_RawMalloc(CHUNK_BYTES);
    call->state = call->hash->create();
    if (call->chunk == NULL || call->state == NULL) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}

void end_call(Call *call) {
    free_room(&call->room);
    if (call->state != NULL) {
        call->hash->destroy(call->state);
    }
    PyMem_RawFree(call->chunk);
}

/* ------------------------------------------------------------------ what came of it */

PyObject *list_of(Py_ssize_t count, Make *make, const void *from) {
    PyObject *list = PyList_New(count);
    for (Py_ssize_t index = 0; list != NULL && index < count; index++) {
        PyObject *made = make(from, index);
        if (made == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, index, made);
        }
    }
    return list;
}

static PyObject *descriptor_at(const void *from, Py_ssize_t index) {
    const Staged *staged = from;
    return PyLong_FromLong(staged[index].descriptor);
}

static void close_descriptors(const Staged *staged, Py_ssize_t count) {
    for (Py_ssize_t index = 0; index < count; index++) {
        if (staged[index].descriptor != NAMED) {
            close(staged[index].descriptor);
        }
    }
}

PyObject *with_descriptors(PyObject *outcomes, const Staged *staged, Py_ssize_t count) {
    PyObject *descriptors = outcomes == NULL ? NULL : list_of(count, descriptor_at, staged);
    PyObject *both = descriptors == NULL ? NULL : PyTuple_Pack(2, outcomes, descriptors);
    Py_XDECREF(descriptors);
    Py_XDECREF(outcomes);
    if (both == NULL) {
        close_descriptors(staged, count);
    }
    return both;
}
