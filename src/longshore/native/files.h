/* Deeds on single files that staging, reading and writing share. */
#ifndef LONGSHORE_FILES_H
#define LONGSHORE_FILES_H

#include "loops.h"

#include <time.h>

/* One call of the module. */
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

/* Memory that all files of a call need; false with an exception. */
bool prepare_call(Call *call);
void end_call(Call *call);

int open_source(Call *call, const char *name);
/* Whether it is a file for us; what it is now. */
bool is_usual(const Call *call, int file, struct stat *found);
bool is_unchanged(int file, const struct stat *before);

bool read_exactly(int file, char *chunk, size_t bytes, off_t offset);
bool write_exactly(int file, const char *chunk, size_t bytes, off_t offset);
/* Read all bytes of a file, hash them, and write them unless there is no target (-1). */
bool pass(const Call *call, int file, int target, off_t size, Hash128 *hash);
/* Whether a written file is so long and gives back what has this hash. */
bool verify(const Call *call, int target, const struct stat *written, off_t size, Hash128 hash);
/* Owner, attributes (of the source, if there are any), mode, times; in the order that
   posix_metadata.apply_metadata explains. */
bool set_metadata(Call *call, int source, int target, const struct stat *written,
                  ssize_t attributes, Staged *staged);

/* Fills a new file; false when nothing of it is to be left. */
typedef bool Fill(Call *call, int target, Staged *staged, const void *what);
/* A new file, without a name if possible, filled. */
bool create(Call *call, const char *temporary, Staged *staged, Fill *fill, const void *what);

/* Makes what has this index in a list; NULL with an exception. */
typedef PyObject *Make(const void *from, Py_ssize_t index);
/* A list of so many objects; NULL with an exception. */
PyObject *list_of(Py_ssize_t count, Make *make, const void *from);
/* (outcomes, descriptors), given the outcomes or NULL: it takes them over, and closes the
   descriptors when it returns NULL with an exception. */
PyObject *with_descriptors(PyObject *outcomes, const Staged *staged, Py_ssize_t count);

#endif
