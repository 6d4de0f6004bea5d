/* Staging: copying small files of one folder under their temporary names in another.

       open, look, read, hash, write, look again, read back, owner, attributes, mode, times

   A file needs no temporary name where the file system makes files without one: it is held by its
   descriptor until it is published, which spares the kernel a third of its work. Nothing of it is
   left when the process ends before.

   The Python path (longshore.pipeline.transfer with storage.backends.posix_*) says what has to come
   of it. Whatever is unusual or goes wrong ends the call: what was made of that file is removed
   again, and the caller takes the Python path for it, which knows the words for every error. */
#include "files.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* The source that a new file is filled from. */
typedef struct {
    int file;
    ssize_t attributes; /* bytes of their names, which the room of the call holds */
} Source;

/* ------------------------------------------------------------------ one file */

static bool fill(Call *call, int target, Staged *staged, const void *what) {
    const Source *source = what;
    Hash128 hash;
    struct stat written;
    off_t size = staged->found.st_size;
    if (!pass(call, source->file, target, size, &hash) ||
        !is_unchanged(source->file, &staged->found) || fstat(target, &written) != 0) {
        return false;
    }
    if ((call->flags & VERIFY) != 0 && !verify(call, target, &written, size, hash)) {
        return false;
    }
    write_digest(hash, staged->digest);
    return set_metadata(call, source->file, target, &written, source->attributes, staged);
}

static bool stage_opened(Call *call, int file, const char *temporary, Staged *staged) {
    if (!is_usual(call, file, &staged->found)) {
        return false;
    }
    Source source = {.file = file, .attributes = list_moved_attributes(file, &call->room)};
    return source.attributes >= 0 && create(call, temporary, staged, fill, &source);
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

/* What outcomes are made of. */
typedef struct {
    const Loops *loops;
    Numbers *numbers;
    PyObject *names;
    const Staged *staged;
} Staging;

/* (entry, digest, lost) */
static PyObject *outcome_at(const void *from, Py_ssize_t index) {
    const Staging *staging = from;
    const Staged *staged = &staging->staged[index];
    PyObject *entry = make_entry(staging->loops, staging->numbers,
                                 PyTuple_GET_ITEM(staging->names, index), &staged->found, NULL);
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
    Staging staging = {.loops = loops, .numbers = &numbers, .names = names, .staged = staged};
    PyObject *list = list_of(count, outcome_at, &staging);
    drop_numbers(&numbers);
    return with_descriptors(list, staged, count);
}

/* With memory for the call; the result, or NULL with an exception. */
static PyObject *stage_named(const Loops *loops, Call *call, PyObject *names,
                             PyObject *temporaries) {
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    Staged *staged = PyMem_RawCalloc(count ? (size_t)count : 1, sizeof(Staged));
    PyObject *result = NULL;
    if (staged == NULL) {
        PyErr_NoMemory();
    } else if (prepare_call(call)) {
        Py_BEGIN_ALLOW_THREADS
        count = stage_some(call, names, temporaries, staged);
        Py_END_ALLOW_THREADS
        result = outcomes(loops, names, staged, count);
    }
    end_call(call);
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
