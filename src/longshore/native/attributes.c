/* Extended attributes of small files. Access lists and refusals are left to the Python path. */
#include "loops.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#define ROOM_BYTES 65536 /* XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux */

static bool begins(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* As posix_attributes.is_moved says. */
static bool is_policy(const char *name) {
    return begins(name, "security.selinux") || begins(name, "security.SMACK64") ||
           begins(name, "security.ima") || begins(name, "security.evm");
}

static bool is_moved(const char *name) {
    return begins(name, "user.") || begins(name, "trusted.") ||
           (begins(name, "security.") && !is_policy(name));
}

static bool is_access_list(const char *name) {
    return begins(name, "system.posix_acl_");
}

/* The room is made when the first attribute shows up: most files have none. */
static bool make_room(AttributeRoom *room) {
    if (room->names == NULL) {
        room->names = malloc(ROOM_BYTES + 1);
    }
    if (room->value == NULL) {
        room->value = malloc(ROOM_BYTES);
    }
    return room->names != NULL && room->value != NULL;
}

/* Keep the names that move with the file; -1 when an access list is among them. */
static ssize_t sort_out(char *names, ssize_t length) {
    ssize_t kept = 0;
    names[length] = '\0';
    for (ssize_t start = 0; start < length;) {
        char *name = names + start;
        ssize_t bytes = (ssize_t)strlen(name) + 1;
        if (is_access_list(name)) {
            return -1;
        }
        if (is_moved(name)) {
            memmove(names + kept, name, (size_t)bytes);
            kept += bytes;
        }
        start += bytes;
    }
    return kept;
}

/* What a file system answers that has none, or none for this user. */
static bool means_none(int error) {
    return error == EOPNOTSUPP || error == ENOSYS || error == ENODATA || error == EPERM ||
           error == EACCES;
}

ssize_t list_moved_attributes(int file, AttributeRoom *room) {
    /* The size first: a kernel sets aside as much as it is offered, and most files have none. */
    ssize_t length = flistxattr(file, NULL, 0);
    if (length == 0 || (length < 0 && means_none(errno))) {
        return 0;
    }
    if (length < 0 || length > ROOM_BYTES || !make_room(room)) {
        return -1;
    }
    length = flistxattr(file, room->names, (size_t)length);
    return length < 0 ? -1 : sort_out(room->names, length);
}

void free_room(AttributeRoom *room) {
    free(room->names);
    free(room->value);
}

bool copy_attributes(int source, int target, AttributeRoom *room, ssize_t length) {
    for (ssize_t start = 0; start < length;) {
        const char *name = room->names + start;
        ssize_t bytes = fgetxattr(source, name, room->value, ROOM_BYTES);
        if (bytes < 0 || fsetxattr(target, name, room->value, (size_t)bytes, 0) != 0) {
            return false;
        }
        start += (ssize_t)strlen(name) + 1;
    }
    return true;
}
