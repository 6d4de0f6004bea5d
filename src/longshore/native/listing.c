/* Listing: reading the names of a folder in sorted runs, and looking at names in their order.

   Names travel end to end in blocks of memory, each with its NUL: with a million of them the
   metadata would be several times as much, and objects, too. A run is such a block, and what Python
   makes of several runs are blocks again, of which a listing holds only what comes next. */
#include "listing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024) /* of folder entries per system call; what a run may be beyond */
#define FIRST_NAMES 256
#define FIRST_BYTES 8192

/* ------------------------------------------------------------------ reading the names */

bool grow(void **room, size_t *size, size_t wanted, size_t unit, size_t first) {
    size_t larger = *size ? *size : first;
    while (larger < wanted) {
        if (larger > SIZE_MAX / 2 / unit) {
            return false;
        }
        larger *= 2;
    }
    if (larger == *size) {
        return true;
    }
    void *moved = realloc(*room, larger * unit);
    if (moved == NULL) {
        return false;
    }
    *room = moved;
    *size = larger;
    return true;
}

static bool add_name(Names *names, const char *name, size_t length) {
    if (!grow((void **)&names->block, &names->bytes_room, names->bytes + length + 1, 1,
              FIRST_BYTES) ||
        !grow((void **)&names->places, &names->count_room, names->count + 1, sizeof(Place),
              FIRST_NAMES)) {
        return false;
    }
    memcpy(names->block + names->bytes, name, length);
    names->block[names->bytes + length] = '\0';
    names->places[names->count++] = (Place){0, names->bytes};
    names->bytes += length + 1;
    return true;
}

typedef struct {
    const char *after, *prefix;
    size_t after_bytes, prefix_bytes;
} Wanted;

static bool is_wanted(const char *name, size_t length, const Wanted *wanted) {
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return false;
    }
    if (length >= wanted->prefix_bytes && memcmp(name, wanted->prefix, wanted->prefix_bytes) == 0) {
        return false;
    }
    size_t shorter = length < wanted->after_bytes ? length : wanted->after_bytes;
    int order = shorter ? memcmp(name, wanted->after, shorter) : 0;
    return order > 0 || (order == 0 && length > wanted->after_bytes);
}

/* As the kernel lays out struct linux_dirent64. */
#define RECORD_LENGTH_AT 16
#define RECORD_NAME_AT 19

/* Take the names out of one answer of the kernel. False: no memory, or no sense in the answer. */
static bool add_records(Names *names, const char *records, size_t bytes, const Wanted *wanted) {
    for (size_t start = 0; start < bytes;) {
        uint16_t length;
        if (bytes - start <= RECORD_NAME_AT) {
            return false;
        }
        memcpy(&length, records + start + RECORD_LENGTH_AT, sizeof length);
        if (length <= RECORD_NAME_AT || length > bytes - start) {
            return false;
        }
        const char *name = records + start + RECORD_NAME_AT;
        size_t name_bytes = strnlen(name, (size_t)length - RECORD_NAME_AT);
        if (name_bytes == (size_t)length - RECORD_NAME_AT) {
            return false;
        }
        if (is_wanted(name, name_bytes, wanted) && !add_name(names, name, name_bytes)) {
            return false;
        }
        start += length;
    }
    return true;
}

/* Read on from where the folder was read to, until there are as many bytes of names or no more.
   0, or the number of an error. */
static int read_some(int folder, Names *names, size_t bytes_wanted, const Wanted *wanted) {
    char *records = malloc(READ_BYTES);
    if (records == NULL) {
        return ENOMEM;
    }
    int error = 0;
    while (names->bytes < bytes_wanted) {
        long bytes = syscall(SYS_getdents64, folder, records, READ_BYTES);
        if (bytes < 0 && errno == EINTR) {
            continue;
        }
        if (bytes <= 0) {
            /* A folder that was removed is empty, as POSIX has it. */
            error = bytes < 0 && errno != ENOENT ? errno : 0;
            break;
        }
        if (!add_records(names, records, (size_t)bytes, wanted)) {
            error = ENOMEM;
            break;
        }
    }
    free(records);
    return error;
}

/* ------------------------------------------------------------------ sorting them */

const char *name_at(const Names *names, size_t index) {
    return names->block + names->places[index].offset;
}

/* Bytes that all names begin with. */
static size_t common_bytes(const Names *names) {
    const char *first = name_at(names, 0);
    size_t common = strlen(first);
    for (size_t index = 1; index < names->count && common > 0; index++) {
        const char *name = name_at(names, index);
        size_t same = 0;
        while (same < common && name[same] == first[same] && name[same] != '\0') {
            same++;
        }
        common = same;
    }
    return common;
}

/* The next eight bytes as a number in the order of the names; a name that ends has NULs there. */
static uint64_t key_of(const char *name) {
    uint64_t key = 0;
    bool has_ended = false;
    for (int index = 0; index < 8; index++) {
        has_ended = has_ended || name[index] == '\0';
        key = key << 8 | (has_ended ? 0 : (unsigned char)name[index]);
    }
    return key;
}

static int compare(const void *one, const void *other, void *block) {
    const Place *first = one, *second = other;
    if (first->key != second->key) {
        return first->key < second->key ? -1 : 1;
    }
    /* strcmp takes bytes as unsigned, so that this is the order of the bytes. */
    return strcmp((const char *)block + first->offset, (const char *)block + second->offset);
}

static bool is_sorted(const Names *names) {
    for (size_t index = 1; index < names->count; index++) {
        if (compare(&names->places[index - 1], &names->places[index], names->block) > 0) {
            return false;
        }
    }
    return true;
}

static void reverse(Names *names) {
    for (size_t low = 0, high = names->count; low + 1 < high; low++) {
        Place place = names->places[--high];
        names->places[high] = names->places[low];
        names->places[low] = place;
    }
}

static void sort(Names *names) {
    if (names->count < 2) {
        return;
    }
    size_t common = common_bytes(names);
    for (size_t index = 0; index < names->count; index++) {
        names->places[index].key = key_of(name_at(names, index) + common);
    }
    if (compare(&names->places[0], &names->places[1], names->block) > 0) {
        reverse(names); /* tmpfs lists what was made last first */
    }
    if (!is_sorted(names)) {
        qsort_r(names->places, names->count, sizeof(Place), compare, names->block);
    }
}

static void free_names(Names *names) {
    free(names->block);
    free(names->places);
}

/* The names in their order, as Python's bytes. */
static PyObject *sorted_block(const Names *names) {
    PyObject *block = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)names->bytes);
    if (block == NULL) {
        return NULL;
    }
    char *next = PyBytes_AS_STRING(block);
    for (size_t index = 0; index < names->count; index++) {
        size_t length = strlen(name_at(names, index)) + 1;
        memcpy(next, name_at(names, index), length);
        next += length;
    }
    return block;
}

PyObject *read_names(PyObject *Py_UNUSED(module), PyObject *arguments) {
    int folder;
    const char *after, *prefix;
    Py_ssize_t after_bytes, prefix_bytes, bytes_wanted;
    if (!PyArg_ParseTuple(arguments, "iy#y#n:read_names", &folder, &after, &after_bytes, &prefix,
                          &prefix_bytes, &bytes_wanted)) {
        return NULL;
    }
    if (bytes_wanted < 1 || bytes_wanted > RUN_BYTES_MAXIMUM) {
        return PyErr_Format(PyExc_ValueError, "1 to %d bytes of names", RUN_BYTES_MAXIMUM);
    }
    Wanted wanted = {after, prefix, (size_t)after_bytes, (size_t)prefix_bytes};
    Names names = {0};
    int error;
    Py_BEGIN_ALLOW_THREADS
    error = read_some(folder, &names, (size_t)bytes_wanted, &wanted);
    if (error == 0) {
        sort(&names);
    }
    Py_END_ALLOW_THREADS
    PyObject *block = error == 0 ? sorted_block(&names) : NULL;
    free_names(&names);
    if (error != 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return block;
}

/* ------------------------------------------------------------------ holding those that come next */

/* Let go of the names that were passed. */
static void drop_passed(Listing *self) {
    Names *names = &self->names;
    size_t passed = self->next < names->count ? names->places[self->next].offset : names->bytes;
    if (self->next == 0) {
        return;
    }
    memmove(names->block, names->block + passed, names->bytes - passed);
    names->bytes -= passed;
    names->count -= self->next;
    for (size_t index = 0; index < names->count; index++) {
        names->places[index].offset = names->places[index + self->next].offset - passed;
    }
    self->next = 0;
}

/* Take over the names of a block; false with an exception. */
static bool add_block(Names *names, PyObject *block) {
    if (!PyBytes_Check(block)) {
        PyErr_SetString(PyExc_TypeError, "blocks are bytes");
        return false;
    }
    const char *next = PyBytes_AS_STRING(block);
    size_t bytes = (size_t)PyBytes_GET_SIZE(block);
    if ((bytes > 0 && next[bytes - 1] != '\0') || memchr(next, '/', bytes) != NULL) {
        PyErr_SetString(PyExc_ValueError, "each name of a block has its NUL, and no slash");
        return false;
    }
    for (const char *end = next + bytes; next < end; next += strlen(next) + 1) {
        if (!add_name(names, next, strlen(next))) {
            PyErr_NoMemory();
            return false;
        }
    }
    return true;
}

bool have_names(Listing *self, size_t wanted) {
    if (self->names.count - self->next >= wanted || self->blocks == NULL) {
        return true;
    }
    drop_passed(self);
    while (self->names.count < wanted) {
        PyObject *block = PyIter_Next(self->blocks);
        if (block == NULL) {
            Py_CLEAR(self->blocks);
            return !PyErr_Occurred();
        }
        bool is_added = add_block(&self->names, block);
        Py_DECREF(block);
        if (!is_added) {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------ looking at some of them */

static bool read_target(int folder, const char *name, Looked *looked) {
    char target[PATH_MAX];
    ssize_t length = readlinkat(folder, name, target, sizeof target);
    if (length < 0 || (size_t)length == sizeof target) {
        looked->look = length < 0 && errno == ENOENT ? VANISHED : TROUBLE;
        return false;
    }
    looked->target = malloc((size_t)length + 1);
    if (looked->target == NULL) {
        looked->look = TROUBLE;
        return false;
    }
    memcpy(looked->target, target, (size_t)length);
    looked->target_bytes = (size_t)length;
    return true;
}

void look_at(int folder, const char *name, Looked *looked) {
    looked->target = NULL;
    looked->target_bytes = 0;
    looked->look = FOUND;
    if (fstatat(folder, name, &looked->found, AT_SYMLINK_NOFOLLOW) != 0) {
        looked->look = errno == ENOENT ? VANISHED : TROUBLE;
    } else if (S_ISLNK(looked->found.st_mode)) {
        read_target(folder, name, looked);
    }
}

/* Look at the following names, up to the first that makes trouble; how many were looked at. */
static size_t look_at_some(const Listing *self, int folder, Looked *looked, size_t count) {
    for (size_t index = 0; index < count; index++) {
        look_at(folder, name_at(&self->names, self->next + index), &looked[index]);
        if (looked[index].look == TROUBLE) {
            return index + 1;
        }
    }
    return count;
}

PyObject *entry_of(const Loops *loops, Numbers *numbers, const char *name,
                   const Looked *looked) {
    PyObject *own_name = PyBytes_FromString(name);
    PyObject *target = NULL;
    PyObject *entry = NULL;
    if (looked->target != NULL) {
        target = PyBytes_FromStringAndSize(looked->target, (Py_ssize_t)looked->target_bytes);
    }
    if (own_name != NULL && (target != NULL || looked->target == NULL)) {
        entry = make_entry(loops, numbers, own_name, &looked->found, target);
    }
    Py_XDECREF(own_name);
    Py_XDECREF(target);
    return entry;
}

static bool append_entry(PyObject *entries, const Loops *loops, Numbers *numbers, const char *name,
                         const Looked *looked) {
    PyObject *entry = entry_of(loops, numbers, name, looked);
    if (entry == NULL || PyList_Append(entries, entry) != 0) {
        Py_XDECREF(entry);
        return false;
    }
    Py_DECREF(entry);
    return true;
}

/* (entries, the name that made trouble or None). */
static PyObject *answer(const Listing *self, const Loops *loops, const Looked *looked,
                        size_t count) {
    Numbers numbers = {0};
    PyObject *entries = PyList_New(0);
    PyObject *trouble = Py_None;
    Py_INCREF(trouble);
    bool complete = entries != NULL;
    for (size_t index = 0; complete && index < count; index++) {
        const char *name = name_at(&self->names, self->next + index);
        if (looked[index].look == TROUBLE) {
            Py_SETREF(trouble, PyBytes_FromString(name));
            complete = trouble != NULL;
        } else if (looked[index].look == FOUND) {
            complete = append_entry(entries, loops, &numbers, name, &looked[index]);
        }
    }
    drop_numbers(&numbers);
    if (!complete) {
        Py_XDECREF(entries);
        Py_XDECREF(trouble);
        return NULL;
    }
    return Py_BuildValue("(NN)", entries, trouble);
}

static void free_targets(Looked *looked, size_t count) {
    for (size_t index = 0; index < count; index++) {
        free(looked[index].target);
    }
}

/* ------------------------------------------------------------------ the type */

static PyObject *listing_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    PyObject *blocks;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "Listing takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(arguments, "O:Listing", &blocks)) {
        return NULL;
    }
    PyObject *iterator = PyObject_GetIter(blocks);
    if (iterator == NULL) {
        return NULL;
    }
    Listing *self = (Listing *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(iterator);
        return NULL;
    }
    self->blocks = iterator;
    return (PyObject *)self;
}

static int listing_traverse(PyObject *object, visitproc visit, void *arg) {
    Listing *self = (Listing *)object;
    Py_VISIT(self->blocks);
    Py_VISIT(Py_TYPE(object));
    return 0;
}

static int listing_clear(PyObject *object) {
    Listing *self = (Listing *)object;
    Py_CLEAR(self->blocks);
    return 0;
}

static void listing_dealloc(PyObject *object) {
    Listing *self = (Listing *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    listing_clear(object);
    free_names(&self->names);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *listing_take(PyObject *object, PyObject *arguments) {
    Listing *self = (Listing *)object;
    int folder;
    Py_ssize_t wanted;
    if (!PyArg_ParseTuple(arguments, "in:take", &folder, &wanted)) {
        return NULL;
    }
    if (wanted < 1 || wanted > FILES_MAXIMUM || self->is_busy) {
        PyErr_Format(PyExc_ValueError, "1 to %d entries, for one thread at a time", FILES_MAXIMUM);
        return NULL;
    }
    self->is_busy = true;
    bool have = have_names(self, (size_t)wanted);
    self->is_busy = false;
    if (!have) {
        return NULL;
    }
    size_t left = self->names.count - self->next;
    size_t count = (size_t)wanted < left ? (size_t)wanted : left;
    Looked *looked = PyMem_RawCalloc(count ? count : 1, sizeof(Looked));
    if (looked == NULL) {
        return PyErr_NoMemory();
    }
    self->is_busy = true;
    Py_BEGIN_ALLOW_THREADS
    count = look_at_some(self, folder, looked, count);
    Py_END_ALLOW_THREADS
    const Loops *loops = PyType_GetModuleState(Py_TYPE(object));
    PyObject *result = answer(self, loops, looked, count);
    self->is_busy = false;
    free_targets(looked, count);
    PyMem_RawFree(looked);
    if (result != NULL) {
        self->next += count;
    }
    return result;
}

/* Whether there are names left. */
static int listing_bool(PyObject *object) {
    Listing *self = (Listing *)object;
    if (self->is_busy) {
        PyErr_SetString(PyExc_ValueError, "another thread is inside the listing");
        return -1;
    }
    self->is_busy = true;
    bool have = have_names(self, 1);
    self->is_busy = false;
    return have ? self->names.count > self->next : -1;
}

static PyMethodDef listing_methods[] = {
    {"take", listing_take, METH_VARARGS,
     "take(folder, count): (entries, name): up to count entries of the opened folder; names that\n"
     "vanished are left out. A name that cannot be looked at ends them and comes instead of None."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot listing_slots[] = {
    {Py_tp_new, listing_new},
    {Py_tp_dealloc, listing_dealloc},
    {Py_tp_traverse, listing_traverse},
    {Py_tp_clear, listing_clear},
    {Py_tp_methods, listing_methods},
    {Py_nb_bool, listing_bool},
    {Py_tp_doc, "Listing(blocks): the names of these blocks, in ascending order and each with a NUL,\n"
                "of which only those that come next are held; true while there are any. After an\n"
                "exception it is of no use."},
    {0, NULL},
};

PyType_Spec listing_spec = {
    .name = "longshore.native._loops.Listing",
    .basicsize = sizeof(Listing),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = listing_slots,
};
