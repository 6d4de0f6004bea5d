/* XXH3-128 from the system's libxxhash, looked up when the module is loaded. */
#include "loops.h"

#include <dlfcn.h>
#include <string.h>

#define OLDEST_VERSION 800 /* XXH3 had other values before 0.8.0 */
#define NEXT_VERSION 10000

static HashLibrary library;
static bool is_loaded;

/* dlsym yields an object pointer; POSIX has it converted through memory. */
static bool look_up(void *handle, const char *symbol, void *function) {
    void *found = dlsym(handle, symbol);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static bool is_right(void) {
    static const unsigned char expected[DIGEST_BYTES] = {0x06, 0xb0, 0x5a, 0xb6, 0x73, 0x3a,
                                                         0x61, 0x85, 0x78, 0xaf, 0x5f, 0x94,
                                                         0x89, 0x2f, 0x39, 0x50};
    unsigned char digest[DIGEST_BYTES];
    write_digest(library.whole("abc", 3), digest);
    return memcmp(digest, expected, DIGEST_BYTES) == 0;
}

static bool load(void) {
    void *handle = dlopen("libxxhash.so.0", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        return false;
    }
    bool complete = look_up(handle, "XXH_versionNumber", &library.version) &&
                    look_up(handle, "XXH3_128bits", &library.whole) &&
                    look_up(handle, "XXH3_createState", &library.create) &&
                    look_up(handle, "XXH3_freeState", &library.destroy) &&
                    look_up(handle, "XXH3_128bits_reset", &library.reset) &&
                    look_up(handle, "XXH3_128bits_update", &library.update) &&
                    look_up(handle, "XXH3_128bits_digest", &library.digest);
    if (!complete || library.version() < OLDEST_VERSION || library.version() >= NEXT_VERSION ||
        !is_right()) {
        dlclose(handle);
        return false;
    }
    return true; /* the library stays loaded as long as the process lives */
}

const HashLibrary *hash_library(void) {
    if (!is_loaded) {
        is_loaded = load();
    }
    return is_loaded ? &library : NULL;
}

static void write_big_endian(uint64_t value, unsigned char *bytes) {
    for (int index = 7; index >= 0; index--) {
        bytes[index] = (unsigned char)(value & 0xff);
        value >>= 8;
    }
}

void write_digest(Hash128 hash, unsigned char digest[DIGEST_BYTES]) {
    write_big_endian(hash.high, digest);
    write_big_endian(hash.low, digest + 8);
}
