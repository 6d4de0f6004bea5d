/* What the files of this module share. Each function is one short story; see docs/design/0007. */
#ifndef LONGSHORE_LOOPS_H
#define LONGSHORE_LOOPS_H

#define PY_SSIZE_T_CLEAN
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define NAME_BYTES_MAXIMUM 255  /* NAME_MAX of every file system Linux ships */
#define FILES_MAXIMUM 4000      /* in one call: bounds the memory of its results */
#define RUN_BYTES_MAXIMUM (64 * 1024 * 1024) /* of names that are sorted at once */
#define DIGEST_BYTES 16
#define MD5_LANES 4         /* contents that are hashed at once */
#define BLOCK_BYTES 512         /* the unit of st_blocks, whatever the file system's own are */
#define REVISION 6              /* as in __init__.py */
#define NAMED (-1)              /* instead of a descriptor: the file has its temporary name */

enum { VERIFY = 1, FROM_MEDIUM = 2, KEEP_TIMES = 4 }; /* what staging is asked to do */
enum { LOST_UID = 1, LOST_GID = 2 };                  /* what a target did not keep */

/* ------------------------------------------------------------------ entries.c */

/* What an Entry is made of; `loops` of the module. */
typedef struct {
    PyObject *entry;       /* longshore.domain.entry.Entry */
    PyObject *file, *folder, *symlink, *special; /* members of EntryKind */
    PyObject *no_bytes;
    PyTypeObject *listing; /* the type of listings */
} Loops;

/* Numbers that repeat from one entry to the next, made once. */
typedef struct {
    int64_t value;
    PyObject *number;
} Number;

typedef struct {
    Number mode, uid, gid, size, mtime, device, allocated;
} Numbers;

int prepare_entries(Loops *loops);
void drop_numbers(Numbers *numbers);
int64_t nanoseconds(struct timespec time);

/* A new Entry; `target` is that of a symbolic link, or NULL. */
PyObject *make_entry(const Loops *loops, Numbers *numbers, PyObject *name,
                     const struct stat *found, PyObject *target);

/* ------------------------------------------------------------------ names.c */

/* A tuple of names of files, each checked to be one name inside a folder. NULL with ValueError. */
PyObject *checked_names(PyObject *sequence, const char *what);

/* ------------------------------------------------------------------ hashing.c */

typedef struct {
    uint64_t low, high; /* laid out and returned as XXH128_hash_t of xxHash 0.8 */
} Hash128;

/* XXH3-128 of the system's libxxhash. */
typedef struct {
    unsigned (*version)(void);
    Hash128 (*whole)(const void *data, size_t length);
    void *(*create)(void);
    int (*destroy)(void *state);
    int (*reset)(void *state);
    int (*update)(void *state, const void *data, size_t length);
    Hash128 (*digest)(const void *state);
} HashLibrary;

/* The library, or NULL where there is none that may be trusted. */
const HashLibrary *hash_library(void);
void write_digest(Hash128 hash, unsigned char digest[DIGEST_BYTES]);

/* ------------------------------------------------------------------ attributes.c */

/* Memory for the attributes of one file after the other. */
typedef struct {
    char *names;
    char *value;
} AttributeRoom;

/* Read the names of the attributes that move with the file; their bytes, or -1: not for us. */
ssize_t list_moved_attributes(int file, AttributeRoom *room);
/* Give the target the attributes that were listed last; false when one is refused. */
bool copy_attributes(int source, int target, AttributeRoom *room, ssize_t length);
void free_room(AttributeRoom *room);

/* ------------------------------------------------------------------ the functions of the module */

extern PyType_Spec listing_spec;
PyObject *read_names(PyObject *module, PyObject *arguments);
PyObject *stage_files(PyObject *module, PyObject *arguments);
PyObject *publish_files(PyObject *module, PyObject *arguments);
PyObject *read_files(PyObject *module, PyObject *arguments);
PyObject *write_files(PyObject *module, PyObject *arguments);
PyObject *compare_folders(PyObject *module, PyObject *arguments);
PyObject *md5_together(PyObject *module, PyObject *arguments);

#endif
