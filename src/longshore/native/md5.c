/* MD5 of several buffers at once, one in each lane of a vector.
 *
 * Each step of MD5 waits for the one before: a processor is idle most of the time, whatever it
 * could do at once. Four contents side by side take a third longer than one. */
#include "loops.h"

#include <string.h>

#define BLOCK 64      /* bytes that a step of the outer loop takes from each lane */
#define TAIL_BLOCKS 2 /* the end of a content, its mark and its length need up to two */

typedef uint32_t Lanes __attribute__((vector_size(4 * MD5_LANES)));

typedef struct {
    Lanes a, b, c, d;
} State;

static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

static uint32_t word_at(const unsigned char *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word;
}

#define STEP(mixed, a, b, word, turn, index)                                                       \
    do {                                                                                           \
        (a) += (mixed) + words[word] + sines[index];                                               \
        (a) = (b) + (((a) << (turn)) | ((a) >> (32 - (turn))));                                    \
    } while (0)
#define FIRST(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define SECOND(b, c, d) ((c) ^ ((d) & ((b) ^ (c))))
#define THIRD(b, c, d) ((b) ^ (c) ^ (d))
#define FOURTH(b, c, d) ((c) ^ ((b) | ~(d)))
/* Four steps, after which each of the four words has its name again. */
#define STEPS(mix, from, stride, offset, t0, t1, t2, t3)                                           \
    do {                                                                                           \
        STEP(mix(b, c, d), a, b, ((from) * (stride) + (offset)) & 15, t0, from);                   \
        STEP(mix(a, b, c), d, a, (((from) + 1) * (stride) + (offset)) & 15, t1, (from) + 1);       \
        STEP(mix(d, a, b), c, d, (((from) + 2) * (stride) + (offset)) & 15, t2, (from) + 2);       \
        STEP(mix(c, d, a), b, c, (((from) + 3) * (stride) + (offset)) & 15, t3, (from) + 3);       \
    } while (0)
#define ROUND(mix, from, stride, offset, t0, t1, t2, t3)                                           \
    do {                                                                                           \
        STEPS(mix, (from), stride, offset, t0, t1, t2, t3);                                        \
        STEPS(mix, (from) + 4, stride, offset, t0, t1, t2, t3);                                    \
        STEPS(mix, (from) + 8, stride, offset, t0, t1, t2, t3);                                    \
        STEPS(mix, (from) + 12, stride, offset, t0, t1, t2, t3);                                   \
    } while (0)

static inline __attribute__((always_inline)) void
take(State *state, const unsigned char *lanes[MD5_LANES], size_t blocks) {
    for (; blocks > 0; blocks--) {
        Lanes a = state->a, b = state->b, c = state->c, d = state->d;
        Lanes words[16];
        for (size_t word = 0; word < 16; word++) {
            for (size_t lane = 0; lane < MD5_LANES; lane++) {
                words[word][lane] = word_at(lanes[lane] + 4 * word);
            }
        }
        ROUND(FIRST, 0, 1, 0, 7, 12, 17, 22);
        ROUND(SECOND, 16, 5, 1, 5, 9, 14, 20);
        ROUND(THIRD, 32, 3, 5, 4, 11, 16, 23);
        ROUND(FOURTH, 48, 7, 0, 6, 10, 15, 21);
        state->a += a, state->b += b, state->c += c, state->d += d;
        for (size_t lane = 0; lane < MD5_LANES; lane++) {
            lanes[lane] += BLOCK;
        }
    }
}

/* AVX-512 turns and mixes words with one instruction each, which is half of MD5. It is asked for by
   what the processor can do: compilers that choose by its name know only those older than they.
   The build with sanitizers, which is tested as well, does without it. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
__attribute__((target("avx512f,avx512vl"))) static void
take_blocks_by_avx512(State *state, const unsigned char *lanes[MD5_LANES], size_t blocks) {
    take(state, lanes, blocks);
}

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
}
#else
#define take_blocks_by_avx512 take_blocks_anywhere
#define has_avx512() false
#endif

static void take_blocks_anywhere(State *state, const unsigned char *lanes[MD5_LANES],
                                 size_t blocks) {
    take(state, lanes, blocks);
}

/* Take so many blocks from each lane, which is left where it ends. */
static void take_blocks(State *state, const unsigned char *lanes[MD5_LANES], size_t blocks) {
    if (has_avx512()) {
        take_blocks_by_avx512(state, lanes, blocks);
    } else {
        take_blocks_anywhere(state, lanes, blocks);
    }
}

static void write_word(uint32_t word, unsigned char *bytes) {
    for (int index = 0; index < 4; index++) {
        bytes[index] = (unsigned char)(word >> (8 * index));
    }
}

/* The digest of a lane whose whole blocks are taken: its last bytes, the mark, its length. */
static void finish_lane(State state, size_t lane, const Py_buffer *content, unsigned char *digest) {
    unsigned char tail[TAIL_BLOCKS * BLOCK] = {0};
    size_t length = (size_t)content->len, left = length % BLOCK;
    if (left > 0) {
        memcpy(tail, (const unsigned char *)content->buf + length - left, left);
    }
    tail[left] = 0x80;
    size_t blocks = left + 9 > BLOCK ? 2 : 1;
    uint64_t bits = (uint64_t)length * 8;
    write_word((uint32_t)bits, tail + blocks * BLOCK - 8);
    write_word((uint32_t)(bits >> 32), tail + blocks * BLOCK - 4);
    const unsigned char *lanes[MD5_LANES];
    for (size_t each = 0; each < MD5_LANES; each++) {
        lanes[each] = tail;
    }
    take_blocks(&state, lanes, blocks);
    write_word(state.a[lane], digest);
    write_word(state.b[lane], digest + 4);
    write_word(state.c[lane], digest + 8);
    write_word(state.d[lane], digest + 12);
}

/* The smallest number of whole blocks above `done`, of any content; 0 if there is none. */
static size_t next_end(const Py_buffer *contents, size_t count, size_t done) {
    size_t next = 0;
    for (size_t lane = 0; lane < count; lane++) {
        size_t blocks = (size_t)contents[lane].len / BLOCK;
        if (blocks > done && (next == 0 || blocks < next)) {
            next = blocks;
        }
    }
    return next;
}

/* Lanes that have ended read along in another one, and nobody looks at what comes of it. */
static void place_lanes(const Py_buffer *contents, size_t count, size_t done,
                        const unsigned char *lanes[MD5_LANES]) {
    const unsigned char *any = NULL;
    for (size_t lane = 0; lane < MD5_LANES; lane++) {
        bool goes_on = lane < count && (size_t)contents[lane].len / BLOCK > done;
        lanes[lane] = goes_on ? (const unsigned char *)contents[lane].buf + done * BLOCK : NULL;
        any = goes_on ? lanes[lane] : any;
    }
    for (size_t lane = 0; lane < MD5_LANES; lane++) {
        lanes[lane] = lanes[lane] == NULL ? any : lanes[lane];
    }
}

static void finish_lanes(const State *state, const Py_buffer *contents, size_t count, size_t done,
                         unsigned char digests[][DIGEST_BYTES]) {
    for (size_t lane = 0; lane < count; lane++) {
        if ((size_t)contents[lane].len / BLOCK == done) {
            finish_lane(*state, lane, &contents[lane], digests[lane]);
        }
    }
}

static void hash_together(const Py_buffer *contents, size_t count,
                          unsigned char digests[][DIGEST_BYTES]) {
    State state = {(Lanes){0} + 0x67452301, (Lanes){0} + 0xefcdab89, (Lanes){0} + 0x98badcfe,
                   (Lanes){0} + 0x10325476};
    size_t done = 0, next;
    finish_lanes(&state, contents, count, done, digests);
    while ((next = next_end(contents, count, done)) > 0) {
        const unsigned char *lanes[MD5_LANES];
        place_lanes(contents, count, done, lanes);
        take_blocks(&state, lanes, next - done);
        done = next;
        finish_lanes(&state, contents, count, done, digests);
    }
}

static PyObject *digests_as_list(unsigned char digests[][DIGEST_BYTES], Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    for (Py_ssize_t index = 0; list != NULL && index < count; index++) {
        PyObject *digest = PyBytes_FromStringAndSize((const char *)digests[index], DIGEST_BYTES);
        if (digest == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, index, digest);
        }
    }
    return list;
}

PyObject *md5_together(PyObject *Py_UNUSED(module), PyObject *arguments) {
    Py_buffer contents[MD5_LANES];
    unsigned char digests[MD5_LANES][DIGEST_BYTES];
    Py_ssize_t count = PyTuple_GET_SIZE(arguments), held = 0;
    PyObject *list = NULL;
    if (count > MD5_LANES) {
        return PyErr_Format(PyExc_ValueError, "at most %d contents at once", MD5_LANES);
    }
    for (; held < count; held++) {
        PyObject *content = PyTuple_GET_ITEM(arguments, held);
        if (PyObject_GetBuffer(content, &contents[held], PyBUF_SIMPLE) != 0) {
            break;
        }
    }
    if (held == count) {
        Py_BEGIN_ALLOW_THREADS
        hash_together(contents, (size_t)count, digests);
        Py_END_ALLOW_THREADS
        list = digests_as_list(digests, count);
    }
    while (held > 0) {
        PyBuffer_Release(&contents[--held]);
    }
    return list;
}
