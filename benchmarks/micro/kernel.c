/* What the kernel takes for listing folders and looking at their names, with nothing done besides.

       kernel TREE STATS LISTINGS ROUNDS

   For each round: every folder of the tree is opened and listed as often as LISTINGS says, and each
   name is looked at as often as STATS says. Prints the names of a round, and the processor time in
   nanoseconds of the best one. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RECORD_LENGTH_AT 16 /* of struct linux_dirent64 */
#define RECORD_NAME_AT 19

static char records[256 * 1024];

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static long look_at_all(int folder, long bytes, int stats) {
    struct stat found;
    long names = 0;
    for (long start = 0; start < bytes;) {
        unsigned short length;
        memcpy(&length, records + start + RECORD_LENGTH_AT, sizeof length);
        const char *name = records + start + RECORD_NAME_AT;
        start += length;
        if (name[0] == '.') {
            continue;
        }
        names++;
        for (int stat = 0; stat < stats; stat++) {
            if (fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
                exit(1);
            }
        }
    }
    return names;
}

static long list(int root, const char *name, int stats) {
    int folder = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long bytes, names = 0;
    while ((bytes = syscall(SYS_getdents64, folder, records, sizeof records)) > 0) {
        names += look_at_all(folder, bytes, stats);
    }
    close(folder);
    return bytes == 0 ? names : 0;
}

int main(int count, char **arguments) {
    if (count != 5) {
        return 2;
    }
    int stats = atoi(arguments[2]), listings = atoi(arguments[3]), rounds = atoi(arguments[4]);
    long best = -1, names = 0;
    for (int round = 0; round < rounds; round++) {
        long begin = now();
        DIR *root = opendir(arguments[1]);
        struct dirent *each;
        names = 0;
        while (root != NULL && (each = readdir(root)) != NULL) {
            for (int listing = 0; each->d_name[0] != '.' && listing < listings; listing++) {
                int last = listing == listings - 1;
                long found = list(dirfd(root), each->d_name, last ? stats : 0);
                names += last ? found : 0;
            }
        }
        closedir(root);
        long taken = now() - begin;
        best = best < 0 || taken < best ? taken : best;
    }
    printf("%ld %ld\n", names, best);
    return 0;
}
