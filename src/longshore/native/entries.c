/* Making Entry values from what stat says. */
#include "loops.h"

#define ENTRY_FIELDS 14

static PyObject *member(PyObject *kinds, const char *name) {
    return PyObject_GetAttrString(kinds, name);
}

int prepare_entries(Loops *loops) {
    PyObject *module = PyImport_ImportModule("longshore.domain.entry");
    if (module == NULL) {
        return -1;
    }
    loops->entry = PyObject_GetAttrString(module, "Entry");
    PyObject *kinds = PyObject_GetAttrString(module, "EntryKind");
    Py_DECREF(module);
    if (loops->entry != NULL && kinds != NULL) {
        loops->file = member(kinds, "FILE");
        loops->folder = member(kinds, "FOLDER");
        loops->symlink = member(kinds, "SYMLINK");
        loops->special = member(kinds, "SPECIAL");
        loops->no_bytes = PyBytes_FromStringAndSize(NULL, 0);
    }
    Py_XDECREF(kinds);
    bool complete = loops->file && loops->folder && loops->symlink && loops->special &&
                    loops->no_bytes;
    return complete ? 0 : -1;
}

/* A new reference to the number, which is often the one of the entry before. */
static PyObject *number_of(Number *known, int64_t value) {
    if (known->number == NULL || known->value != value) {
        PyObject *number = PyLong_FromLongLong(value);
        if (number == NULL) {
            return NULL;
        }
        Py_XSETREF(known->number, number);
        known->value = value;
    }
    Py_INCREF(known->number);
    return known->number;
}

void drop_numbers(Numbers *numbers) {
    Number *all[] = {&numbers->mode,  &numbers->uid,    &numbers->gid,      &numbers->size,
                     &numbers->mtime, &numbers->device, &numbers->allocated};
    for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
        Py_CLEAR(all[index]->number);
    }
}

int64_t nanoseconds(struct timespec time) {
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static PyObject *kind_of(const Loops *loops, mode_t mode) {
    PyObject *kind = S_ISREG(mode)   ? loops->file
                     : S_ISDIR(mode) ? loops->folder
                     : S_ISLNK(mode) ? loops->symlink
                                     : loops->special;
    Py_INCREF(kind);
    return kind;
}

PyObject *make_entry(const Loops *loops, Numbers *numbers, PyObject *name,
                     const struct stat *found, PyObject *target) {
    bool has_target = target != NULL && PyBytes_GET_SIZE(target) > 0;
    int64_t size = has_target ? (int64_t)PyBytes_GET_SIZE(target) : (int64_t)found->st_size;
    PyObject *last = has_target ? target : loops->no_bytes;
    Py_INCREF(name);
    Py_INCREF(last);
    PyObject *fields[ENTRY_FIELDS] = {
        name,
        kind_of(loops, found->st_mode),
        number_of(&numbers->size, size),
        number_of(&numbers->mode, found->st_mode),
        number_of(&numbers->uid, found->st_uid),
        number_of(&numbers->gid, found->st_gid),
        number_of(&numbers->mtime, nanoseconds(found->st_mtim)),
        number_of(&numbers->mtime, nanoseconds(found->st_atim)),
        number_of(&numbers->mtime, nanoseconds(found->st_ctim)),
        PyLong_FromUnsignedLongLong(found->st_ino),
        PyLong_FromUnsignedLongLong(found->st_nlink),
        last,
        PyLong_FromUnsignedLongLong(found->st_dev),
        number_of(&numbers->allocated, (int64_t)found->st_blocks * BLOCK_BYTES),
    };
    PyObject *entry = NULL;
    bool complete = true;
    for (int index = 0; index < ENTRY_FIELDS; index++) {
        complete = complete && fields[index] != NULL;
    }
    if (complete) {
        entry = PyObject_Vectorcall(loops->entry, fields, ENTRY_FIELDS, NULL);
    }
    for (int index = 0; index < ENTRY_FIELDS; index++) {
        Py_XDECREF(fields[index]);
    }
    return entry;
}
