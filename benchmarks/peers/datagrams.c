/* A load of datagrams for a program that receives them on one UDP port and forwards them to another: ours.

       datagrams PORT BACK SIZE WINDOW WARM_UP_MS MS

   Datagrams of SIZE bytes go to PORT, and are to come back to BACK. No more than WINDOW of them are under way, fewer
   than any buffer on the way holds, so the program sets the pace and nothing has to be lost. Each carries its number,
   and when it was sent. What comes back between the end of the warm-up and MS later is counted, and how long it takes
   for what is sent meanwhile. When nothing has come for a second, those under way are given up, and others are sent.
   One line of JSON says how many came back a second, how many of those sent after the warm-up never did, and within
   how many seconds half of them had, and 99 of 100. More than one lost in a thousand is a failure, because the figure
   says nothing then; so is one that comes twice, or with other bytes. Only loopback, bounded in number and time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "latency.h"

enum {
    MOST = 256,          /* under way */
    LARGEST = 2048,      /* bytes */
    REMEMBERED = 1 << 16 /* numbers, the last ones: others given up long ago count as strange */
};

struct head {
    long number; /* from 1 on */
    double sent;
};

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
    if (window < 1 || window > MOST || size < (int)sizeof(struct head) || size > LARGEST) return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(to, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");

    static char out[MOST][LARGEST], in[MOST][LARGEST], rest[LARGEST];
    struct mmsghdr outgoing[MOST] = {0}, incoming[MOST] = {0};
    struct iovec out_parts[MOST], in_parts[MOST];
    for (int index = 0; index < LARGEST; index++) rest[index] = 'a' + index % 26;
    for (int index = 0; index < MOST; index++) {
        memcpy(out[index], rest, LARGEST);
        out_parts[index] = (struct iovec){out[index], size};
        in_parts[index] = (struct iovec){in[index], sizeof in[index]};
        outgoing[index].msg_hdr = (struct msghdr){.msg_iov = &out_parts[index], .msg_iovlen = 1};
        incoming[index].msg_hdr = (struct msghdr){.msg_iov = &in_parts[index], .msg_iovlen = 1};
    }
    static long missing[REMEMBERED]; /* the numbers that have not come back */
    const int head = sizeof(struct head);
    long sent = 0, before = -1, came_back = 0, counted = 0, wrong = 0, strange = 0, under_way = 0;
    double time = now(), start = time + warm_up, end = start + duration, heard = time;
    /* At the end some are still on their way: nothing more is sent then, until nothing has come for a while. */
    while (time < end || (under_way > 0 && time - heard < 0.5)) {
        if (time >= start && before < 0) before = sent;
        int more = time < end ? window - under_way : 0;
        for (int index = 0; index < more; index++) {
            struct head one = {sent + index + 1, time};
            memcpy(out[index], &one, head);
        }
        if (more > 0) {
            int gone = sendmmsg(to, outgoing, more, 0);
            if (gone < 0 && errno != ECONNREFUSED) fail("sendmmsg");
            for (int index = 0; index < gone; index++, sent++, under_way++)
                missing[(sent + 1) % REMEMBERED] = sent + 1;
        }
        struct pollfd waiting = {.fd = back, .events = POLLIN};
        poll(&waiting, 1, 50);
        int came = recvmmsg(back, incoming, MOST, MSG_DONTWAIT, NULL);
        time = now();
        if (came <= 0) {
            if (time < end && time - heard > 1) {
                under_way = 0;
                heard = time;
            }
            continue;
        }
        heard = time;
        under_way = came < under_way ? under_way - came : 0; /* some may have been given up */
        for (int index = 0; index < came; index++) {
            struct head one;
            memcpy(&one, in[index], head);
            if ((int)incoming[index].msg_len != size || memcmp(in[index] + head, rest + head, size - head) != 0) {
                wrong++;
                continue;
            }
            if (one.number < 1 || one.number > sent || missing[one.number % REMEMBERED] != one.number) {
                strange++;
                continue;
            }
            missing[one.number % REMEMBERED] = 0;
            if (time >= start && time < end) counted++;
            if (before >= 0 && one.number > before) {
                came_back++;
                count_latency(time - one.sent);
            }
        }
    }
    long measured = before < 0 ? 0 : sent - before, lost = measured - came_back;
    if (wrong || strange || counted == 0 || lost > measured / 1000) {
        if (wrong)
            fprintf(stderr, "%ld datagrams came back with other bytes: the figure is void\n", wrong);
        else if (strange)
            fprintf(stderr, "%ld datagrams came twice, or far too late: the figure is void\n", strange);
        else
            fprintf(stderr, "%ld of %ld datagrams were lost: the figure is void\n", lost, measured);
        return 1;
    }
    printf("{\"datagrams\": %ld, \"lost\": %ld, \"rate\": %f, \"p50\": %.9f, \"p99\": %.9f}\n", counted, lost,
           counted / duration, latency_of(0.50), latency_of(0.99));
    return 0;
}
