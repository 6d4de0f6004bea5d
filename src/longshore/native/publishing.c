/* Publishing: giving staged files of one folder their final names. */
#include "loops.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEEP_EXISTING 1 /* RENAME_NOREPLACE of the kernel */
#define PATH_BYTES 32   /* of a descriptor in /proc */

/* The system call itself: older C libraries have no function for it. */
static bool publish_named(int folder, const char *temporary, const char *name, bool replace) {
    unsigned flags = replace ? 0 : KEEP_EXISTING;
    return syscall(SYS_renameat2, folder, temporary, folder, name, flags) == 0;
}

/* Closed is what has its name now: before, nothing else would keep the file. */
static bool publish_unnamed(int folder, int file, const char *name) {
    char path[PATH_BYTES];
    if (linkat(file, "", folder, name, AT_EMPTY_PATH) != 0) {
        /* Most kernels let only the administrator do it that way. */
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
        if (linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW) != 0) {
            return false;
        }
    }
    close(file);
    return true;
}

static bool publish_one(int folder, int file, const char *temporary, const char *name,
                        bool replace) {
    if (file == NAMED) {
        return publish_named(folder, temporary, name, replace);
    }
    return !replace && publish_unnamed(folder, file, name);
}

static Py_ssize_t publish_some(int folder, PyObject *temporaries, PyObject *names,
                               const char *replace, const int *files) {
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    for (Py_ssize_t index = 0; index < count; index++) {
        if (!publish_one(folder, files[index],
                         PyBytes_AS_STRING(PyTuple_GET_ITEM(temporaries, index)),
                         PyBytes_AS_STRING(PyTuple_GET_ITEM(names, index)), replace[index] != 0)) {
            return index;
        }
    }
    return count;
}

/* The descriptors, as many as there are names; NULL with an exception. */
static int *checked_descriptors(PyObject *sequence, Py_ssize_t count) {
    PyObject *numbers = PySequence_Tuple(sequence);
    if (numbers == NULL) {
        return NULL;
    }
    int *files = NULL;
    if (PyTuple_GET_SIZE(numbers) != count) {
        PyErr_SetString(PyExc_ValueError, "as many descriptors as names");
    } else if ((files = PyMem_Malloc(count ? (size_t)count * sizeof(int) : 1)) == NULL) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t index = 0; files != NULL && index < count; index++) {
        long file = PyLong_AsLong(PyTuple_GET_ITEM(numbers, index));
        files[index] = file >= 0 && file <= INT_MAX ? (int)file : NAMED;
        if (file == -1 && PyErr_Occurred()) {
            PyMem_Free(files);
            files = NULL;
        }
    }
    Py_DECREF(numbers);
    return files;
}

PyObject *publish_files(PyObject *Py_UNUSED(module), PyObject *arguments) {
    int folder;
    PyObject *temporaries, *names, *descriptors;
    const char *replace;
    Py_ssize_t replace_count, published = -1;
    if (!PyArg_ParseTuple(arguments, "iOOy#O:publish", &folder, &temporaries, &names, &replace,
                          &replace_count, &descriptors)) {
        return NULL;
    }
    temporaries = checked_names(temporaries, "temporary names");
    names = temporaries ? checked_names(names, "names") : NULL;
    int *files = names ? checked_descriptors(descriptors, PyTuple_GET_SIZE(names)) : NULL;
    if (files != NULL && (PyTuple_GET_SIZE(names) != PyTuple_GET_SIZE(temporaries) ||
                          PyTuple_GET_SIZE(names) != replace_count)) {
        PyErr_SetString(PyExc_ValueError, "as many temporary names and marks as names");
    } else if (files != NULL) {
        Py_BEGIN_ALLOW_THREADS
        published = publish_some(folder, temporaries, names, replace, files);
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(files);
    Py_XDECREF(temporaries);
    Py_XDECREF(names);
    return published < 0 ? NULL : PyLong_FromSsize_t(published);
}
