/* A load of datagrams for a program that receives them on one UDP port and forwards them to another: ours.

       datagrams PORT BACK SIZE WINDOW WARM_UP_MS MS

   Datagrams of SIZE bytes go to PORT, and are to come back to BACK. No more than WINDOW of them are under way, fewer
   than any buffer on the way holds, so the program sets the pace and nothing has to be lost. Each carries its number.
   What comes back between the end of the warm-up and MS later is counted. When nothing has come for a second, those
   under way are given up, and others are sent. One line of JSON says how many came back a second, and how many of
   those sent after the warm-up never did; more than one in a thousand is a failure, because the figure says nothing
   then. Only loopback, bounded in number and time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 256

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int bound_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) fail("socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    int port = atoi(argv[1]), back = bound_to(atoi(argv[2])), to = bound_to(0), size = atoi(argv[3]);
    int window = atoi(argv[4]);
    double warm_up = atoi(argv[5]) / 1e3, duration = atoi(argv[6]) / 1e3;
    if (window < 1 || window > MOST || size < 8 || size > 2048) return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(to, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");

    static char out[MOST][2048], in[MOST][2048];
    struct mmsghdr outgoing[MOST] = {0}, incoming[MOST] = {0};
    struct iovec out_parts[MOST], in_parts[MOST];
    for (int index = 0; index < MOST; index++) {
        out_parts[index] = (struct iovec){out[index], size};
        in_parts[index] = (struct iovec){in[index], sizeof in[index]};
        outgoing[index].msg_hdr = (struct msghdr){.msg_iov = &out_parts[index], .msg_iovlen = 1};
        incoming[index].msg_hdr = (struct msghdr){.msg_iov = &in_parts[index], .msg_iovlen = 1};
    }
    long sent = 0, came_back = 0, before = -1, counted = 0, wrong = 0, under_way = 0;
    double time = now(), start = time + warm_up, end = start + duration, heard = time;
    /* At the end some are still on their way: nothing more is sent then, until nothing has come for a while. */
    while (time < end || (under_way > 0 && time - heard < 0.5)) {
        int more = time < end ? window - under_way : 0;
        for (int index = 0; index < more; index++) {
            long number = sent + index;
            memcpy(out[index], &number, sizeof number);
        }
        if (more > 0) {
            int gone = sendmmsg(to, outgoing, more, 0);
            if (gone < 0 && errno != ECONNREFUSED) fail("sendmmsg");
            if (gone > 0) sent += gone, under_way += gone;
        }
        struct pollfd waiting = {.fd = back, .events = POLLIN};
        poll(&waiting, 1, 50);
        int came = recvmmsg(back, incoming, MOST, MSG_DONTWAIT, NULL);
        time = now();
        if (time >= start && before < 0) before = sent - came_back - under_way; /* the program may have been late */
        if (came > 0) {
            heard = time;
            came_back += came;
            under_way -= came;
            if (under_way < 0) under_way = 0; /* some that had been given up */
            for (int index = 0; index < came; index++) wrong += (int)incoming[index].msg_len != size;
            if (time >= start && time < end) counted += came;
        } else if (time < end && time - heard > 1) {
            under_way = 0;
            heard = time;
        }
    }
    long lost = sent - came_back - before;
    if (lost < 0) lost = 0;
    if (wrong) fprintf(stderr, "%ld datagrams came back with another size\n", wrong);
    if (counted == 0 || lost > sent / 1000)
        fprintf(stderr, "%ld of %ld datagrams were lost: the figure is void\n", lost, sent);
    if (wrong || counted == 0 || lost > sent / 1000) return 1;
    printf("{\"datagrams\": %ld, \"lost\": %ld, \"rate\": %f}\n", counted, lost, counted / duration);
    return 0;
}
