// SPDX-License-Identifier: MIT OR Apache-2.0
//
// A wall clock that runs backwards. In each second, it goes back by one hour. After a day it starts
// again at the real time. When a process preloads this library, the function replaces the one of
// the C library.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_BACK_EACH_SECOND 3600
#define SECONDS_UNTIL_ANEW 86400

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (syscall(SYS_clock_gettime, clock, now) != 0) {
        return -1;
    }
    if (clock == CLOCK_REALTIME) {
        struct timespec up;
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &up);
        now->tv_sec -= up.tv_sec % SECONDS_UNTIL_ANEW * SECONDS_BACK_EACH_SECOND;
    }
    return 0;
}
