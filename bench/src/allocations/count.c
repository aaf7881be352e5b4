/* Counts calls of the allocator, for LD_PRELOAD. The number is the first 8 bytes of the file that BENCH_ALLOCATIONS names,
   shared by all processes of the program. Wants glibc, whose own functions do the work. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static uint64_t unshared;
static uint64_t *count = &unshared;

__attribute__((constructor)) static void share(void) {
    const char *path = getenv("BENCH_ALLOCATIONS");
    int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file < 0 || ftruncate(file, sizeof *count)) return;
    void *page = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) count = page;
    close(file);
}

static void one_more(void) { __atomic_fetch_add(count, 1, __ATOMIC_RELAXED); }

void *malloc(size_t size) { one_more(); return __libc_malloc(size); }
void *calloc(size_t number, size_t size) { one_more(); return __libc_calloc(number, size); }
void *realloc(void *old, size_t size) { one_more(); return __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { one_more(); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { one_more(); return __libc_memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
    one_more();
    void *memory = __libc_memalign(alignment, size);
    if (!memory) return 12; /* ENOMEM */
    *out = memory;
    return 0;
}
