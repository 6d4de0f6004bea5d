/* Names that Python hands over. */
#include "loops.h"

#include <string.h>

static bool is_one_name(PyObject *object) {
    if (!PyBytes_Check(object)) {
        return false;
    }
    const char *name = PyBytes_AS_STRING(object);
    size_t length = (size_t)PyBytes_GET_SIZE(object);
    if (length == 0 || length > NAME_BYTES_MAXIMUM) {
        return false;
    }
    if (memchr(name, '\0', length) != NULL || memchr(name, '/', length) != NULL) {
        return false;
    }
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

PyObject *checked_names(PyObject *sequence, const char *what) {
    /* A tuple of our own: nobody changes it while the interpreter lock is released. */
    PyObject *names = PySequence_Tuple(sequence);
    if (names == NULL) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    bool valid = count <= FILES_MAXIMUM;
    for (Py_ssize_t index = 0; valid && index < count; index++) {
        valid = is_one_name(PyTuple_GET_ITEM(names, index));
    }
    if (!valid) {
        Py_DECREF(names);
        PyErr_Format(PyExc_ValueError, "%s: at most %d names, each of one file in the folder", what,
                     FILES_MAXIMUM);
        return NULL;
    }
    return names;
}
