/* What the C library says to the process that this is preloaded into. The program sets the variables (`ctypes`). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { REFUSE, HANG, LOOPBACK };

/* No thread can be started. */
volatile int refuse_threads;
volatile int refused_threads;
/* What becomes of the names of hosts, none of which leaves this machine. */
volatile int names = REFUSE;
volatile int looked_up;
/* Seconds that the clock of the wall has been put on, or back. */
volatile long clock_step;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
    if (refuse_threads) {
        __atomic_add_fetch(&refused_threads, 1, __ATOMIC_RELAXED);
        return EAGAIN;
    }
    return REAL(pthread_create)(thread, attributes, start, argument);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    struct addrinfo numeric = {0};
    if (hints)
        numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    if (!node || REAL(getaddrinfo)(node, service, &numeric, result) == 0)
        return node ? 0 : REAL(getaddrinfo)(node, service, hints, result);
    __atomic_add_fetch(&looked_up, 1, __ATOMIC_RELAXED);
    while (names == HANG)
        usleep(10000);
    if (names == REFUSE)
        return EAI_AGAIN;
    return REAL(getaddrinfo)("127.0.0.1", service, &numeric, result);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = REAL(clock_gettime)(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        now->tv_sec += clock_step;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int result = REAL(gettimeofday)(now, zone);
    now->tv_sec += clock_step;
    return result;
}

time_t time(time_t *now)
{
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    if (now)
        *now = real.tv_sec;
    return real.tv_sec;
}
