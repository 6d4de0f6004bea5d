/* Staging: copying small files of one folder under their temporary names in another.

       open, look, read, hash, write, look again, read back, owner, attributes, mode, times

   A file needs no temporary name where the file system makes files without one: it is held by its
   descriptor until it is published, which spares the kernel a third of its work. Nothing of it is
   left when the process ends before.

   The Python path (longshore.pipeline.transfer with storage.backends.posix_*) says what has to come
   of it. Whatever is unusual or goes wrong ends the call: what was made of that file is removed
   again, and the caller takes the Python path for it, which knows the words for every error. */
#include "loops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
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

/* One call. */
typedef struct {
    int source, target; /* opened folders */
    int flags;
    int64_t size_maximum;
    struct timespec deadline;
    int without_atime; /* O_NOATIME as long as this user may ask for it */
    int unnamed_below; /* descriptors that files without a name may have; 0: none, or no longer */
    const HashLibrary *hash;
    void *state; /* of the hash of files of several chunks */
    char *chunk;
    AttributeRoom room;
} Call;

typedef struct {
    struct stat found; /* the source as it was read */
    unsigned char digest[DIGEST_BYTES];
    int lost; /* owner and group that the target does not keep */
    int descriptor; /* that holds a file without a name, or NAMED */
} Staged;

/* ------------------------------------------------------------------ the source */

static int open_source(Call *call, const char *name) {
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

static bool is_usual(const Call *call, int file, struct stat *found) {
    return fstat(file, found) == 0 && S_ISREG(found->st_mode) && found->st_nlink == 1 &&
           (int64_t)found->st_size <= call->size_maximum && !has_holes(file, found);
}

static bool is_unchanged(int file, const struct stat *before) {
    struct stat now;
    return fstat(file, &now) == 0 && now.st_size == before->st_size &&
           now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before->st_mtim.tv_nsec &&
           (now.st_nlink != before->st_nlink || /* a name that goes changes the time of change */
            (now.st_ctim.tv_sec == before->st_ctim.tv_sec &&
             now.st_ctim.tv_nsec == before->st_ctim.tv_nsec));
}

/* ------------------------------------------------------------------ the content */

static bool read_exactly(int file, char *chunk, size_t bytes, off_t offset) {
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

static bool write_exactly(int file, const char *chunk, size_t bytes, off_t offset) {
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

/* Read all bytes of a file, hash them, and write them unless there is no target (-1). */
static bool pass(const Call *call, int file, int target, off_t size, Hash128 *hash) {
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

static bool verify(const Call *call, int target, const struct stat *written, off_t size,
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

/* In the order that posix_metadata.apply_metadata explains. */
static bool set_metadata(Call *call, int source, int target, const struct stat *written,
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

/* ------------------------------------------------------------------ one file */

static bool fill(Call *call, int source, int target, ssize_t attributes, Staged *staged) {
    Hash128 hash;
    struct stat written;
    off_t size = staged->found.st_size;
    if (!pass(call, source, target, size, &hash) || !is_unchanged(source, &staged->found) ||
        fstat(target, &written) != 0) {
        return false;
    }
    if ((call->flags & VERIFY) != 0 && !verify(call, target, &written, size, hash)) {
        return false;
    }
    write_digest(hash, staged->digest);
    return set_metadata(call, source, target, &written, attributes, staged);
}

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

static bool stage_opened(Call *call, int source, const char *temporary, Staged *staged) {
    if (!is_usual(call, source, &staged->found)) {
        return false;
    }
    ssize_t attributes = list_moved_attributes(source, &call->room);
    if (attributes < 0) {
        return false;
    }
    int target = create_unnamed(call);
    if (target != NAMED) {
        bool is_filled = fill(call, source, target, attributes, staged);
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
    bool is_staged = fill(call, source, target, attributes, staged);
    /* Network file systems tell of lost writes when a file is closed. */
    is_staged = close(target) == 0 && is_staged;
    if (!is_staged) {
        unlinkat(call->target, temporary, 0);
    }
    return is_staged;
}

static bool stage_one(Call *call, const char *name, const char *temporary, Staged *staged) {
    int source = open_source(call, name);
    if (source < 0) {
        return false;
    }
    bool is_staged = stage_opened(call, source, temporary, staged);
    close(source);
    return is_staged;
}

/* ------------------------------------------------------------------ the call */

static bool is_over(const struct timespec *deadline) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > deadline->tv_sec ||
           (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

static struct timespec deadline_in(double seconds) {
    struct timespec deadline;
    double longest = 3600; /* of one call; slices are far shorter */
    double left = seconds > longest ? longest : seconds > 0 ? seconds : 0;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += (time_t)left;
    deadline.tv_nsec += (long)((left - (double)(time_t)left) * 1e9);
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

/* Stage file by file up to the first that is not for us, or until the time is up. */
static Py_ssize_t stage_some(Call *call, PyObject *names, PyObject *temporaries, Staged *staged) {
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    for (Py_ssize_t index = 0; index < count; index++) {
        if (index > 0 && is_over(&call->deadline)) {
            return index;
        }
        if (!stage_one(call, PyBytes_AS_STRING(PyTuple_GET_ITEM(names, index)),
                       PyBytes_AS_STRING(PyTuple_GET_ITEM(temporaries, index)), &staged[index])) {
            return index;
        }
    }
    return count;
}

/* (entry, digest, lost) */
static PyObject *outcome_of(const Loops *loops, Numbers *numbers, PyObject *name,
                            const Staged *staged) {
    PyObject *entry = make_entry(loops, numbers, name, &staged->found, NULL);
    PyObject *digest = PyBytes_FromStringAndSize((const char *)staged->digest, DIGEST_BYTES);
    PyObject *lost = PyLong_FromLong(staged->lost);
    PyObject *outcome = NULL;
    if (entry != NULL && digest != NULL && lost != NULL) {
        outcome = PyTuple_Pack(3, entry, digest, lost);
    }
    Py_XDECREF(entry);
    Py_XDECREF(digest);
    Py_XDECREF(lost);
    return outcome;
}

/* (outcomes, descriptors). Without them the descriptors are closed. */
static PyObject *outcomes(const Loops *loops, PyObject *names, const Staged *staged,
                          Py_ssize_t count) {
    Numbers numbers = {0};
    PyObject *list = PyList_New(count);
    for (Py_ssize_t index = 0; list != NULL && index < count; index++) {
        PyObject *outcome =
            outcome_of(loops, &numbers, PyTuple_GET_ITEM(names, index), &staged[index]);
        if (outcome == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, index, outcome);
        }
    }
    drop_numbers(&numbers);
    PyObject *descriptors = list == NULL ? NULL : PyList_New(count);
    for (Py_ssize_t index = 0; descriptors != NULL && index < count; index++) {
        PyObject *descriptor = PyLong_FromLong(staged[index].descriptor);
        if (descriptor == NULL) {
            Py_CLEAR(descriptors);
        } else {
            PyList_SET_ITEM(descriptors, index, descriptor);
        }
    }
    PyObject *both = descriptors == NULL ? NULL : PyTuple_Pack(2, list, descriptors);
    Py_XDECREF(descriptors);
    Py_XDECREF(list);
    for (Py_ssize_t index = 0; both == NULL && index < count; index++) {
        if (staged[index].descriptor != NAMED) {
            close(staged[index].descriptor);
        }
    }
    return both;
}

/* With memory for the call; the result, or NULL with an exception. */
static PyObject *stage_named(const Loops *loops, Call *call, PyObject *names,
                             PyObject *temporaries) {
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    Staged *staged = PyMem_RawCalloc(count ? (size_t)count : 1, sizeof(Staged));
    call->chunk = PyMem_RawMalloc(CHUNK_BYTES);
    call->state = call->hash->create();
    PyObject *result = NULL;
    if (staged == NULL || call->chunk == NULL || call->state == NULL) {
        PyErr_NoMemory();
    } else {
        Py_BEGIN_ALLOW_THREADS
        count = stage_some(call, names, temporaries, staged);
        Py_END_ALLOW_THREADS
        result = outcomes(loops, names, staged, count);
    }
    free_room(&call->room);
    if (call->state != NULL) {
        call->hash->destroy(call->state);
    }
    PyMem_RawFree(call->chunk);
    PyMem_RawFree(staged);
    return result;
}

PyObject *stage_files(PyObject *module, PyObject *arguments) {
    Call call = {.without_atime = O_NOATIME, .hash = hash_library()};
    PyObject *names, *temporaries;
    long long size_maximum;
    double seconds;
    if (!PyArg_ParseTuple(arguments, "iiOOiLdi:stage", &call.source, &call.target, &names,
                          &temporaries, &call.flags, &size_maximum, &seconds,
                          &call.unnamed_below)) {
        return NULL;
    }
    if (call.hash == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "there is no libxxhash");
        return NULL;
    }
    call.size_maximum = size_maximum;
    call.deadline = deadline_in(seconds);
    names = checked_names(names, "names");
    temporaries = names ? checked_names(temporaries, "temporary names") : NULL;
    PyObject *result = NULL;
    if (temporaries != NULL && PyTuple_GET_SIZE(names) != PyTuple_GET_SIZE(temporaries)) {
        PyErr_SetString(PyExc_ValueError, "as many temporary names as names");
    } else if (temporaries != NULL) {
        result = stage_named(PyModule_GetState(module), &call, names, temporaries);
    }
    Py_XDECREF(names);
    Py_XDECREF(temporaries);
    return result;
}
