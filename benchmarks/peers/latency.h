/* How long things took, counted in steps that are never wider than one part in 64 of the time: so few numbers hold
   as many times as there are, and percentiles are known to 1 %. */
#include "common.h"

enum { STEPS = 64, DOUBLINGS = 40 }; /* the longest is some hours */

static long latencies[DOUBLINGS * STEPS];

static void count_latency(double seconds) {
    long time = seconds > 0 ? (long)(seconds * 1e9) : 0, step = time;
    if (time >= STEPS) {
        int halved = 63 - __builtin_clzl(time) - 6; /* so often that between STEPS and twice that is left */
        step = halved * STEPS + (time >> halved);
    }
    latencies[step < DOUBLINGS * STEPS ? step : DOUBLINGS * STEPS - 1]++;
}

/* Returns the seconds within which that part of all was over; 0 when there was nothing. */
static double latency_of(double part) {
    long all = 0, passed = 0;
    for (int step = 0; step < DOUBLINGS * STEPS; step++) all += latencies[step];
    for (int step = 0; step < DOUBLINGS * STEPS; step++) {
        passed += latencies[step];
        if (passed == 0 || passed < part * all) continue;
        if (step < STEPS) return step / 1e9;
        int halved = step / STEPS - 1;
        return ((step - halved * STEPS + 0.5) * (1L << halved)) / 1e9; /* the middle of the step */
    }
    return 0;
}
