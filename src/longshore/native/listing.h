/* What a listing is made of, for the loops that work on listings. */
#ifndef LONGSHORE_LISTING_H
#define LONGSHORE_LISTING_H

#include "loops.h"

typedef struct {
    uint64_t key;    /* the first bytes behind what all names have in common */
    uint64_t offset; /* of the name in the block */
} Place;

typedef struct {
    char *block; /* the names, each with its NUL */
    size_t bytes, bytes_room;
    Place *places;
    size_t count, count_room;
} Names;

typedef struct {
    PyObject_HEAD
    PyObject *blocks; /* an iterator of names in their order; NULL at its end */
    Names names;      /* of the last blocks */
    size_t next;
    bool is_busy; /* another thread is at work with it */
} Listing;

typedef enum { FOUND, VANISHED, TROUBLE } Look;

typedef struct {
    Look look;
    struct stat found;
    char *target; /* of a symbolic link, or NULL */
    size_t target_bytes;
} Looked;

/* Make room for `wanted` units; false: no memory, and everything is as it was. */
bool grow(void **room, size_t *size, size_t wanted, size_t unit, size_t first);

const char *name_at(const Names *names, size_t index);

/* See to it that so many names are there from `next` on, as far as there are any; needs the
   interpreter's lock. Names before `next` go. False: with an exception. */
bool have_names(Listing *listing, size_t wanted);

/* Look at a name of the folder itself, whatever it is. A target found has to be freed. */
void look_at(int folder, const char *name, Looked *looked);

/* A new Entry of what was found. */
PyObject *entry_of(const Loops *loops, Numbers *numbers, const char *name, const Looked *looked);

#endif
