/* Comparing: two listed folders side by side.

   A file that is the same in both becomes bytes: its Entry in msgpack, as the report keeps it, and
   beside that what a catalogue keeps of it, for the digest. Everything else becomes objects. The
   same in Python is PlainComparer of pipeline/comparing.py; what "the same" means is decided by
   `identical` of pipeline/planning.py, and here as it is there. */
#include "listing.h"

#include <endian.h>
#include <limits.h>
#include <string.h>

#define FIRST_OTHERS 16
#define FIRST_PACKED 16384
#define HEAD_BYTES 3          /* of an array in msgpack, up to 65,535 items */
#define NUMBER_BYTES 9        /* of the largest number */
#define SPARE_BYTES 8         /* behind a number of one byte, which is written with seven more */
#define PACKED_FALSE 0xc2     /* nothing here is an outline */
#define ENTRY_ITEMS 15        /* of domain.entry.Entry */
#define VALUE_ITEMS 10        /* of what a catalogue keeps */
#define ITEMS_BYTES (1 + ENTRY_ITEMS * NUMBER_BYTES) /* without what name and target are made of */

enum { FILE_KIND = 1, SYMLINK_KIND = 3 }; /* as domain.entry.EntryKind has them */

typedef struct {
    unsigned char *bytes;
    size_t count, room;
} Packed;

typedef struct {
    size_t index; /* of the name in the source's listing */
    Looked entry, standing;
    bool stands; /* `standing` was found */
} Other;

typedef struct {
    Listing *source, *target;
    int source_folder, target_folder;
    size_t source_next;
    uint64_t resolution;
    size_t files; /* that are the same */
    size_t first, last; /* of them, in the source's listing */
    int64_t bytes;
    Packed entries, values;
    Other *others;
    size_t others_count, others_room;
    bool has_trouble, trouble_stands; /* with the name before source_next */
} Comparison;

/* ------------------------------------------------------------------ msgpack */

static void put(Packed *packed, unsigned char byte) {
    packed->bytes[packed->count++] = byte;
}

/* A kind and the lowest bytes of the value, the highest of them first. */
static void put_big_endian(Packed *packed, unsigned char kind, uint64_t value, int bytes) {
    unsigned char *next = packed->bytes + packed->count;
    uint64_t shifted = htobe64(value << (64 - 8 * bytes));
    next[0] = kind;
    memcpy(next + 1, &shifted, sizeof shifted); /* all eight are quicker; see SPARE_BYTES */
    packed->count += 1 + (size_t)bytes;
}

static void put_unsigned(Packed *packed, uint64_t value) {
    if (value < 0x80) {
        put(packed, (unsigned char)value);
    } else if (value <= UINT8_MAX) {
        put_big_endian(packed, 0xcc, value, 1);
    } else if (value <= UINT16_MAX) {
        put_big_endian(packed, 0xcd, value, 2);
    } else if (value <= UINT32_MAX) {
        put_big_endian(packed, 0xce, value, 4);
    } else {
        put_big_endian(packed, 0xcf, value, 8);
    }
}

static void put_number(Packed *packed, int64_t value) {
    if (value >= 0) {
        put_unsigned(packed, (uint64_t)value);
    } else if (value >= -32) {
        put(packed, (unsigned char)value);
    } else if (value >= INT8_MIN) {
        put_big_endian(packed, 0xd0, (uint64_t)value, 1);
    } else if (value >= INT16_MIN) {
        put_big_endian(packed, 0xd1, (uint64_t)value, 2);
    } else if (value >= INT32_MIN) {
        put_big_endian(packed, 0xd2, (uint64_t)value, 4);
    } else {
        put_big_endian(packed, 0xd3, (uint64_t)value, 8);
    }
}

static void put_raw(Packed *packed, const void *bytes, size_t count) {
    if (count > 0) {
        memcpy(packed->bytes + packed->count, bytes, count);
        packed->count += count;
    }
}

static void put_bytes(Packed *packed, const char *bytes, size_t count) {
    if (count <= UINT8_MAX) {
        put_big_endian(packed, 0xc4, count, 1);
    } else {
        put_big_endian(packed, 0xc5, count, 2); /* nothing here is longer than PATH_MAX */
    }
    put_raw(packed, bytes, count);
}

static bool make_room(Packed *packed, size_t more) {
    if (packed->count == 0) {
        packed->count = HEAD_BYTES; /* for the head, which is known last */
    }
    size_t wanted = packed->count + more + SPARE_BYTES;
    return grow((void **)&packed->bytes, &packed->room, wanted, 1, FIRST_PACKED);
}

/* Write the head of the array right before its items; where it begins. */
static unsigned char *headed(Packed *packed, size_t items, size_t *count) {
    bool is_short = items < 16;
    size_t head = is_short ? 1 : HEAD_BYTES;
    unsigned char *begin = packed->bytes + HEAD_BYTES - head;
    if (is_short) {
        begin[0] = (unsigned char)(0x90 | items);
    } else {
        begin[0] = 0xdc;
        begin[1] = (unsigned char)(items >> 8);
        begin[2] = (unsigned char)items;
    }
    *count = packed->count - HEAD_BYTES + head;
    return begin;
}

/* ------------------------------------------------------------------ one file */

static int64_t size_of(const Looked *looked) {
    return looked->target_bytes ? (int64_t)looked->target_bytes : (int64_t)looked->found.st_size;
}

/* What a catalogue keeps of a file stands at the start of its entry. */
static void put_values(Packed *packed, const char *name, size_t name_bytes,
                       const Looked *looked) {
    const struct stat *found = &looked->found;
    put_bytes(packed, name, name_bytes);
    put(packed, S_ISLNK(found->st_mode) ? SYMLINK_KIND : FILE_KIND);
    put_number(packed, size_of(looked));
    put_unsigned(packed, found->st_mode);
    put_unsigned(packed, found->st_uid);
    put_unsigned(packed, found->st_gid);
    put_number(packed, nanoseconds(found->st_mtim));
    put_number(packed, nanoseconds(found->st_atim));
    put_number(packed, nanoseconds(found->st_ctim));
}

static bool add_same(Comparison *self, const char *name, size_t index, const Looked *looked) {
    const struct stat *found = &looked->found;
    size_t name_bytes = strlen(name);
    size_t bytes = ITEMS_BYTES + name_bytes + looked->target_bytes;
    if (!make_room(&self->entries, bytes) || !make_room(&self->values, bytes)) {
        return false;
    }
    put(&self->values, 0x90 | VALUE_ITEMS);
    size_t values = self->values.count;
    put_values(&self->values, name, name_bytes, looked);
    put(&self->entries, 0x90 | ENTRY_ITEMS);
    put_raw(&self->entries, self->values.bytes + values, self->values.count - values);
    put_unsigned(&self->entries, found->st_ino);
    put_unsigned(&self->entries, found->st_nlink);
    put_bytes(&self->entries, looked->target, looked->target_bytes);
    put_unsigned(&self->entries, found->st_dev);
    put_number(&self->entries, (int64_t)found->st_blocks * BLOCK_BYTES);
    put(&self->entries, PACKED_FALSE);
    put_bytes(&self->values, looked->target, looked->target_bytes);
    self->first = self->files ? self->first : index;
    self->last = index;
    self->files++;
    self->bytes += size_of(looked);
    return true;
}

static bool add_other(Comparison *self, size_t index, Looked *entry, Looked *standing) {
    if (!grow((void **)&self->others, &self->others_room, self->others_count + 1, sizeof(Other),
              FIRST_OTHERS)) {
        return false;
    }
    Other *other = &self->others[self->others_count++];
    other->index = index;
    other->entry = *entry;
    other->stands = standing->look == FOUND;
    other->standing = *standing;
    entry->target = standing->target = NULL; /* theirs now */
    return true;
}

static bool are_same_time(const Comparison *self, int64_t one, int64_t other) {
    uint64_t apart = one > other ? (uint64_t)one - (uint64_t)other : (uint64_t)other - (uint64_t)one;
    return apart < self->resolution;
}

/* As `identical` of pipeline/planning.py. */
static bool are_same(const Comparison *self, const Looked *entry, const Looked *standing) {
    mode_t mode = entry->found.st_mode, other = standing->found.st_mode;
    if (S_ISLNK(mode) && S_ISLNK(other)) {
        return entry->target_bytes == standing->target_bytes &&
               memcmp(entry->target, standing->target, entry->target_bytes) == 0;
    }
    return S_ISREG(mode) && S_ISREG(other) && entry->found.st_size == standing->found.st_size &&
           are_same_time(self, nanoseconds(entry->found.st_mtim),
                         nanoseconds(standing->found.st_mtim));
}

/* As `have_names` for the target, for who does not hold the interpreter's lock. */
static bool have_target_names(Comparison *self) {
    PyGILState_STATE state = PyGILState_Ensure();
    bool have = have_names(self->target, 1);
    PyGILState_Release(state);
    return have;
}

typedef enum { MISSING, STANDS, UNKNOWN } Standing;

/* Whether the target has the name; what comes before it there is left behind. UNKNOWN: with an
   exception. */
static Standing standing_of(Comparison *self, const char *name) {
    Listing *target = self->target;
    for (;;) {
        while (target->next < target->names.count) {
            int order = strcmp(name_at(&target->names, target->next), name);
            if (order >= 0) {
                return order == 0 ? STANDS : MISSING;
            }
            target->next++;
        }
        if (target->blocks == NULL) {
            return MISSING;
        }
        if (!have_target_names(self)) {
            return UNKNOWN;
        }
    }
}

/* ------------------------------------------------------------------ the next names */

typedef enum { GO_ON, END, NO_MEMORY, REFUSED } Step; /* REFUSED: with an exception */

static Step compare_found(Comparison *self, const char *name, size_t index, Looked *entry,
                          Looked *standing) {
    mode_t mode = entry->found.st_mode;
    bool is_movable = S_ISREG(mode) || S_ISLNK(mode);
    Standing there = is_movable ? standing_of(self, name) : MISSING;
    if (there == UNKNOWN) {
        return REFUSED;
    }
    if (there == STANDS) {
        look_at(self->target_folder, name, standing);
        if (standing->look == TROUBLE) {
            self->has_trouble = self->trouble_stands = true;
            return END;
        }
    }
    bool is_same = standing->look == FOUND && are_same(self, entry, standing);
    bool is_added = is_same ? add_same(self, name, index, entry) : add_other(self, index, entry, standing);
    return is_added ? GO_ON : NO_MEMORY;
}

static Step compare_next(Comparison *self) {
    size_t index = self->source_next++;
    const char *name = name_at(&self->source->names, index);
    Looked entry, standing = {.look = VANISHED};
    look_at(self->source_folder, name, &entry);
    Step step = GO_ON;
    if (entry.look == TROUBLE) {
        Standing there = standing_of(self, name);
        self->has_trouble = true;
        self->trouble_stands = there == STANDS;
        step = there == UNKNOWN ? REFUSED : END;
    } else if (entry.look == FOUND) {
        step = compare_found(self, name, index, &entry, &standing);
    }
    free(entry.target);
    free(standing.target);
    return step;
}

static Step compare_some(Comparison *self, size_t count) {
    size_t left = self->source->names.count - self->source_next;
    size_t end = self->source_next + (count < left ? count : left);
    Step step = GO_ON;
    while (step == GO_ON && self->source_next < end) {
        step = compare_next(self);
    }
    return step;
}

/* ------------------------------------------------------------------ the answer */

static bool append_other(PyObject *list, const Loops *loops, Numbers *numbers,
                         const Comparison *self, const Other *other) {
    const char *name = name_at(&self->source->names, other->index);
    PyObject *entry = entry_of(loops, numbers, name, &other->entry);
    PyObject *standing = Py_None;
    if (other->stands) {
        standing = entry_of(loops, numbers, name, &other->standing);
    } else {
        Py_INCREF(standing);
    }
    PyObject *pair = entry && standing ? PyTuple_Pack(2, entry, standing) : NULL;
    Py_XDECREF(entry);
    Py_XDECREF(standing);
    bool is_added = pair != NULL && PyList_Append(list, pair) == 0;
    Py_XDECREF(pair);
    return is_added;
}

static PyObject *others_of(const Comparison *self, const Loops *loops) {
    Numbers numbers = {0};
    PyObject *list = PyList_New(0);
    for (size_t index = 0; list != NULL && index < self->others_count; index++) {
        if (!append_other(list, loops, &numbers, self, &self->others[index])) {
            Py_CLEAR(list);
        }
    }
    drop_numbers(&numbers);
    return list;
}

/* The name that was looked at last, and whether it stands in the target; None: no trouble. */
static PyObject *trouble_of(const Comparison *self) {
    if (!self->has_trouble) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(yO)", name_at(&self->source->names, self->source_next - 1),
                         self->trouble_stands ? Py_True : Py_False);
}

static PyObject *last_name(const Comparison *self) {
    bool has_moved = self->source_next > self->source->next;
    return PyBytes_FromString(has_moved ? name_at(&self->source->names, self->source_next - 1) : "");
}

static PyObject *answer(Comparison *self, const Loops *loops, const HashLibrary *hash) {
    size_t entries_bytes, values_bytes;
    if (!make_room(&self->entries, 0) || !make_room(&self->values, 0)) {
        return PyErr_NoMemory();
    }
    const unsigned char *entries = headed(&self->entries, self->files, &entries_bytes);
    const unsigned char *values = headed(&self->values, self->files, &values_bytes);
    unsigned char digest[DIGEST_BYTES];
    write_digest(hash->whole(values, values_bytes), digest);
    const Names *names = &self->source->names;
    return Py_BuildValue("(nL(yy)y#y#NNN)", (Py_ssize_t)self->files, (long long)self->bytes,
                         self->files ? name_at(names, self->first) : "",
                         self->files ? name_at(names, self->last) : "", entries,
                         (Py_ssize_t)entries_bytes, digest, (Py_ssize_t)DIGEST_BYTES,
                         others_of(self, loops), last_name(self), trouble_of(self));
}

static void free_comparison(Comparison *self) {
    for (size_t index = 0; index < self->others_count; index++) {
        free(self->others[index].entry.target);
        free(self->others[index].standing.target);
    }
    free(self->others);
    free(self->entries.bytes);
    free(self->values.bytes);
}

/* The answer about the next names, which are all there. */
static PyObject *compare_names(const Loops *loops, Comparison *self, size_t count,
                               const HashLibrary *hash) {
    Step step;
    self->source_next = self->source->next;
    Py_BEGIN_ALLOW_THREADS
    step = compare_some(self, count);
    Py_END_ALLOW_THREADS
    PyObject *result = NULL;
    if (step == NO_MEMORY) {
        PyErr_NoMemory();
    } else if (step != REFUSED) {
        result = answer(self, loops, hash);
    }
    free_comparison(self);
    return result;
}

/* With both listings to itself. The source's stays where it is unless all went well. */
static PyObject *compare_listings(const Loops *loops, Comparison *self, size_t count,
                                  const HashLibrary *hash) {
    self->source->is_busy = self->target->is_busy = true;
    bool have = have_names(self->source, count);
    PyObject *result = have ? compare_names(loops, self, count, hash) : NULL;
    self->source->is_busy = self->target->is_busy = false;
    if (result != NULL) {
        self->source->next = self->source_next;
    }
    return result;
}

PyObject *compare_folders(PyObject *module, PyObject *arguments) {
    const Loops *loops = PyModule_GetState(module);
    const HashLibrary *hash = hash_library();
    Comparison self = {0};
    Py_ssize_t count;
    long long resolution;
    if (!PyArg_ParseTuple(arguments, "O!iO!inL:compare", loops->listing, &self.source,
                          &self.source_folder, loops->listing, &self.target, &self.target_folder,
                          &count, &resolution)) {
        return NULL;
    }
    if (hash == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "there is no libxxhash");
        return NULL;
    }
    bool is_taken = self.source == self.target || self.source->is_busy || self.target->is_busy;
    if (count < 1 || count > FILES_MAXIMUM || resolution < 0 || is_taken) {
        PyErr_Format(PyExc_ValueError,
                     "1 to %d names, two listings for one thread at a time, no negative resolution",
                     FILES_MAXIMUM);
        return NULL;
    }
    self.resolution = (uint64_t)resolution;
    return compare_listings(loops, &self, (size_t)count, hash);
}
