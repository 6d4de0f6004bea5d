/* Contents: whole small files of a folder into memory, and from memory under temporary names.

   What is usual is what staging takes, less attributes. Whatever is not ends the call, as there. */
#include "files.h"

#include <fcntl.h>
#include <unistd.h>

#define TOGETHER_BYTES (4 * 1024 * 1024) /* read by one call, or one file */
#define MODE_MAXIMUM 0177777
#define OWNER_MAXIMUM 0xfffffffeLL /* the last value means "nobody said" */
#define SECOND 1000000000

/* ------------------------------------------------------------------ reading */

typedef struct {
    struct stat found;
    unsigned char digest[DIGEST_BYTES];
    char *content; /* of PyMem_Raw */
} Content;

static bool read_opened(Call *call, int file, Content *content) {
    if (!is_usual(call, file, &content->found) || list_moved_attributes(file, &call->room) != 0) {
        return false;
    }
    size_t size = (size_t)content->found.st_size;
    content->content = PyMem_RawMalloc(size ? size : 1);
    if (content->content == NULL || !read_exactly(file, content->content, size, 0) ||
        !is_unchanged(file, &content->found)) {
        PyMem_RawFree(content->content);
        content->content = NULL;
        return false;
    }
    write_digest(call->hash->whole(content->content, size), content->digest);
    return true;
}

static bool read_one(Call *call, const char *name, Content *content) {
    int file = open_source(call, name);
    if (file < 0) {
        return false;
    }
    bool is_read = read_opened(call, file, content);
    close(file);
    return is_read;
}

static Py_ssize_t read_some(Call *call, PyObject *names, Content *contents) {
    int64_t bytes = 0;
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    for (Py_ssize_t index = 0; index < count; index++) {
        if (bytes >= TOGETHER_BYTES ||
            !read_one(call, PyBytes_AS_STRING(PyTuple_GET_ITEM(names, index)), &contents[index])) {
            return index;
        }
        bytes += contents[index].found.st_size;
    }
    return count;
}

/* What outcomes are made of. */
typedef struct {
    const Loops *loops;
    Numbers *numbers;
    PyObject *names;
    const Content *contents;
} Reading;

/* (entry, content, digest) */
static PyObject *read_outcome_at(const void *from, Py_ssize_t index) {
    const Reading *reading = from;
    const Content *content = &reading->contents[index];
    PyObject *entry = make_entry(reading->loops, reading->numbers,
                                 PyTuple_GET_ITEM(reading->names, index), &content->found, NULL);
    PyObject *bytes =
        PyBytes_FromStringAndSize(content->content, (Py_ssize_t)content->found.st_size);
    PyObject *digest = PyBytes_FromStringAndSize((const char *)content->digest, DIGEST_BYTES);
    PyObject *outcome = NULL;
    if (entry != NULL && bytes != NULL && digest != NULL) {
        outcome = PyTuple_Pack(3, entry, bytes, digest);
    }
    Py_XDECREF(entry);
    Py_XDECREF(bytes);
    Py_XDECREF(digest);
    return outcome;
}

static PyObject *read_outcomes(const Loops *loops, PyObject *names, const Content *contents,
                               Py_ssize_t count) {
    Numbers numbers = {0};
    Reading reading = {.loops = loops, .numbers = &numbers, .names = names, .contents = contents};
    PyObject *list = list_of(count, read_outcome_at, &reading);
    drop_numbers(&numbers);
    return list;
}

static PyObject *read_named(const Loops *loops, Call *call, PyObject *names) {
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    Content *contents = PyMem_RawCalloc(count ? (size_t)count : 1, sizeof(Content));
    if (contents == NULL) {
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    count = read_some(call, names, contents);
    Py_END_ALLOW_THREADS
    PyObject *result = read_outcomes(loops, names, contents, count);
    for (Py_ssize_t index = 0; index < count; index++) {
        PyMem_RawFree(contents[index].content);
    }
    free_room(&call->room);
    PyMem_RawFree(contents);
    return result;
}

PyObject *read_files(PyObject *module, PyObject *arguments) {
    Call call = {.without_atime = O_NOATIME, .hash = hash_library()};
    PyObject *names;
    long long size_maximum;
    if (!PyArg_ParseTuple(arguments, "iOL:read", &call.source, &names, &size_maximum)) {
        return NULL;
    }
    if (call.hash == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "there is no libxxhash");
        return NULL;
    }
    call.size_maximum = size_maximum;
    names = checked_names(names, "names");
    PyObject *result = names ? read_named(PyModule_GetState(module), &call, names) : NULL;
    Py_XDECREF(names);
    return result;
}

/* ------------------------------------------------------------------ writing */

typedef struct {
    const char *bytes;
    size_t size;
} Memory;

static bool fill(Call *call, int target, Staged *staged, const void *what) {
    const Memory *content = what;
    struct stat written;
    Hash128 hash = call->hash->whole(content->bytes, content->size);
    if (!write_exactly(target, content->bytes, content->size, 0) || fstat(target, &written) != 0) {
        return false;
    }
    if ((call->flags & VERIFY) != 0 &&
        !verify(call, target, &written, (off_t)content->size, hash)) {
        return false;
    }
    write_digest(hash, staged->digest);
    return set_metadata(call, -1, target, &written, 0, staged);
}

static Py_ssize_t write_some(Call *call, PyObject *contents, PyObject *temporaries,
                             Staged *staged) {
    Py_ssize_t count = PyTuple_GET_SIZE(contents);
    for (Py_ssize_t index = 0; index < count; index++) {
        PyObject *bytes = PyTuple_GET_ITEM(contents, index);
        Memory content = {PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
        if (!create(call, PyBytes_AS_STRING(PyTuple_GET_ITEM(temporaries, index)), &staged[index],
                    fill, &content)) {
            return index;
        }
    }
    return count;
}

static struct timespec time_of(long long nanoseconds) {
    struct timespec time = {.tv_sec = (time_t)(nanoseconds / SECOND),
                            .tv_nsec = (long)(nanoseconds % SECOND)};
    if (time.tv_nsec < 0) {
        time.tv_sec--;
        time.tv_nsec += SECOND;
    }
    return time;
}

/* What the files are to have: mode, uid, gid, mtime_ns, atime_ns; false with an exception. */
static bool read_details(PyObject *details, Staged *staged, Py_ssize_t count) {
    for (Py_ssize_t index = 0; index < count; index++) {
        PyObject *one = PyTuple_GET_ITEM(details, index);
        long long mode, uid, gid, mtime, atime;
        if (!PyTuple_Check(one)) {
            PyErr_SetString(PyExc_TypeError, "details: a tuple for each file");
            return false;
        }
        if (!PyArg_ParseTuple(one, "LLLLL", &mode, &uid, &gid, &mtime, &atime)) {
            return false;
        }
        if (mode < 0 || mode > MODE_MAXIMUM || uid < 0 || uid > OWNER_MAXIMUM || gid < 0 ||
            gid > OWNER_MAXIMUM) {
            PyErr_SetString(PyExc_ValueError, "details: no mode or owner that a file can have");
            return false;
        }
        staged[index].found.st_mode = (mode_t)mode;
        staged[index].found.st_uid = (uid_t)uid;
        staged[index].found.st_gid = (gid_t)gid;
        staged[index].found.st_mtim = time_of(mtime);
        staged[index].found.st_atim = time_of(atime);
    }
    return true;
}

/* (digest, lost) */
static PyObject *written_outcome_at(const void *from, Py_ssize_t index) {
    const Staged *staged = from;
    return Py_BuildValue("(y#i)", (const char *)staged[index].digest, (Py_ssize_t)DIGEST_BYTES,
                         staged[index].lost);
}

/* A tuple of bytes objects, which nobody can change; NULL with an exception. */
static PyObject *checked_contents(PyObject *sequence, Py_ssize_t count) {
    PyObject *contents = PySequence_Tuple(sequence);
    bool valid = contents != NULL && PyTuple_GET_SIZE(contents) == count;
    for (Py_ssize_t index = 0; valid && index < count; index++) {
        valid = PyBytes_Check(PyTuple_GET_ITEM(contents, index));
    }
    if (contents != NULL && !valid) {
        PyErr_SetString(PyExc_ValueError, "contents: as many bytes objects as names");
        Py_CLEAR(contents);
    }
    return contents;
}

static PyObject *write_checked(Call *call, PyObject *contents, PyObject *temporaries,
                               PyObject *details) {
    Py_ssize_t count = PyTuple_GET_SIZE(temporaries);
    Staged *staged = PyMem_RawCalloc(count ? (size_t)count : 1, sizeof(Staged));
    PyObject *result = NULL;
    if (staged == NULL) {
        PyErr_NoMemory();
    } else if (read_details(details, staged, count) && prepare_call(call)) {
        Py_BEGIN_ALLOW_THREADS
        count = write_some(call, contents, temporaries, staged);
        Py_END_ALLOW_THREADS
        PyObject *list = list_of(count, written_outcome_at, staged);
        result = with_descriptors(list, staged, count);
    }
    end_call(call);
    PyMem_RawFree(staged);
    return result;
}

PyObject *write_files(PyObject *Py_UNUSED(module), PyObject *arguments) {
    Call call = {.hash = hash_library()};
    PyObject *contents, *temporaries, *details;
    if (!PyArg_ParseTuple(arguments, "iOOOii:write", &call.target, &contents, &temporaries,
                          &details, &call.flags, &call.unnamed_below)) {
        return NULL;
    }
    if (call.hash == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "there is no libxxhash");
        return NULL;
    }
    temporaries = checked_names(temporaries, "temporary names");
    contents = temporaries ? checked_contents(contents, PyTuple_GET_SIZE(temporaries)) : NULL;
    details = contents ? PySequence_Tuple(details) : NULL;
    PyObject *result = NULL;
    if (details != NULL && PyTuple_GET_SIZE(details) != PyTuple_GET_SIZE(temporaries)) {
        PyErr_SetString(PyExc_ValueError, "as many details as names");
    } else if (details != NULL) {
        result = write_checked(&call, contents, temporaries, details);
    }
    Py_XDECREF(temporaries);
    Py_XDECREF(contents);
    Py_XDECREF(details);
    return result;
}
