/* Publishing: giving staged files of one folder their final names. */
#include "loops.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEEP_EXISTING 1 /* RENAME_NOREPLACE of the kernel */

/* The system call itself: older C libraries have no function for it. */
static bool publish_one(int folder, const char *temporary, const char *name, bool replace) {
    unsigned flags = replace ? 0 : KEEP_EXISTING;
    return syscall(SYS_renameat2, folder, temporary, folder, name, flags) == 0;
}

static Py_ssize_t publish_some(int folder, PyObject *temporaries, PyObject *names,
                               const char *replace) {
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    for (Py_ssize_t index = 0; index < count; index++) {
        if (!publish_one(folder, PyBytes_AS_STRING(PyTuple_GET_ITEM(temporaries, index)),
                         PyBytes_AS_STRING(PyTuple_GET_ITEM(names, index)), replace[index] != 0)) {
            return index;
        }
    }
    return count;
}

PyObject *publish_files(PyObject *Py_UNUSED(module), PyObject *arguments) {
    int folder;
    PyObject *temporaries, *names;
    const char *replace;
    Py_ssize_t replace_count, published = -1;
    if (!PyArg_ParseTuple(arguments, "iOOy#:publish", &folder, &temporaries, &names, &replace,
                          &replace_count)) {
        return NULL;
    }
    temporaries = checked_names(temporaries, "temporary names");
    names = temporaries ? checked_names(names, "names") : NULL;
    if (names != NULL && (PyTuple_GET_SIZE(names) != PyTuple_GET_SIZE(temporaries) ||
                          PyTuple_GET_SIZE(names) != replace_count)) {
        PyErr_SetString(PyExc_ValueError, "as many temporary names and marks as names");
    } else if (names != NULL) {
        Py_BEGIN_ALLOW_THREADS
        published = publish_some(folder, temporaries, names, replace);
        Py_END_ALLOW_THREADS
    }
    Py_XDECREF(temporaries);
    Py_XDECREF(names);
    return published < 0 ? NULL : PyLong_FromSsize_t(published);
}
