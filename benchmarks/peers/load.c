/* A load of TCP echo: one thread, epoll, CONNECTIONS connections, messages of SIZE bytes. Each connection sends
   its next message when the last one has come back whole.

       load PORT CONNECTIONS SIZE WARM_UP_MS MS

   What comes back between the end of the warm-up and MS later is counted. One line of JSON says how many a second,
   and how many connections were lost. Only loopback, bounded in number and time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* A server that is just starting may not listen yet. */
static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int tries = 0;; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0) fail("socket");
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            int one = 1;
            struct timeval limit = {.tv_sec = 5};
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
            return fd;
        }
        close(fd);
        if (tries == 100) fail("connect");
        usleep(20000);
    }
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    int port = atoi(argv[1]), connections = atoi(argv[2]), size = atoi(argv[3]);
    double warm_up = atoi(argv[4]) / 1e3, duration = atoi(argv[5]) / 1e3;
    char *message = malloc(size), buffer[65536];
    int *come_back = calloc(connections, sizeof *come_back), *fds = calloc(connections, sizeof *fds);
    memset(message, 'x', size);
    int epoll = epoll_create1(0), lost = 0;
    for (int index = 0; index < connections; index++) {
        fds[index] = connect_to(port);
        /* One round trip each, so that all of them are really served before anything is measured. */
        if (send(fds[index], message, size, MSG_NOSIGNAL) != size) fail("send");
        for (int got = 0; got < size;) {
            ssize_t bytes = recv(fds[index], buffer, size - got, 0);
            if (bytes <= 0) fail("the first echo");
            got += bytes;
        }
    }
    for (int index = 0; index < connections; index++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[index], &event) < 0) fail("epoll_ctl");
        if (send(fds[index], message, size, MSG_NOSIGNAL) != size) fail("send");
    }
    double start = now() + warm_up, end = start + duration, time = now();
    long counted = 0;
    struct epoll_event events[1024];
    while (time < end && lost < connections) {
        int ready = epoll_wait(epoll, events, 1024, 100);
        time = now();
        for (int event = 0; event < ready; event++) {
            int index = events[event].data.u32;
            ssize_t bytes = recv(fds[index], buffer, sizeof buffer, MSG_DONTWAIT);
            if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            if (bytes <= 0) {
                lost++;
                close(fds[index]);
                continue;
            }
            come_back[index] += bytes;
            if (come_back[index] >= size) {
                come_back[index] -= size;
                if (time >= start && time < end) counted++;
                if (send(fds[index], message, size, MSG_NOSIGNAL) != size) {
                    lost++;
                    close(fds[index]);
                }
            }
        }
    }
    printf("{\"messages\": %ld, \"lost\": %d, \"rate\": %f}\n", counted, lost, counted / duration);
    return 0;
}
