/* A load of echo: one thread, epoll, CONNECTIONS connections, messages of SIZE bytes. Each connection sends its
   next message when the last one has come back whole.

       load PORT CONNECTIONS SIZE WARM_UP_MS MS [websocket]

   With the last word each connection begins with the handshake of WebSocket, and the messages are frames of
   binary data: masked on their way there, and two or four bytes longer than SIZE on their way back.
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

/* The key is that of RFC 6455, 1.3; no extension is offered. */
static const char HANDSHAKE[] =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static void shake_hands(int fd) {
    char answer[4096];
    int got = 0;
    if (send(fd, HANDSHAKE, sizeof HANDSHAKE - 1, MSG_NOSIGNAL) < 0) fail("send");
    while (got < 4 || memcmp(answer + got - 4, "\r\n\r\n", 4) != 0) {
        if (got == sizeof answer || recv(fd, answer + got, 1, 0) != 1) fail("the handshake");
        got++;
    }
    if (memcmp(answer, "HTTP/1.1 101", 12) != 0) fail("the answer to the handshake");
}

/* Returns a frame's size, with `size` bytes of 'x' in it, masked with four bytes that are not 0. */
static int make_frame(unsigned char *frame, int size) {
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    int at = 0;
    frame[at++] = 0x82;
    frame[at++] = 0x80 | (size < 126 ? size : 126);
    if (size >= 126) {
        frame[at++] = size >> 8;
        frame[at++] = size & 255;
    }
    memcpy(frame + at, mask, 4);
    at += 4;
    for (int index = 0; index < size; index++) frame[at++] = 'x' ^ mask[index % 4];
    return at;
}

int main(int argc, char **argv) {
    if (argc != 6 && !(argc == 7 && strcmp(argv[6], "websocket") == 0)) return 2;
    int websocket = argc == 7;
    int port = atoi(argv[1]), connections = atoi(argv[2]), size = atoi(argv[3]);
    double warm_up = atoi(argv[4]) / 1e3, duration = atoi(argv[5]) / 1e3;
    char *message = malloc(size + 8), buffer[65536];
    int *come_back = calloc(connections, sizeof *come_back), *fds = calloc(connections, sizeof *fds);
    memset(message, 'x', size);
    int there = size, back = size; /* bytes of a message, each way */
    if (websocket) {
        if (size > 65535) return 2;
        there = make_frame((unsigned char *)message, size);
        back = there - 4;
    }
    int epoll = epoll_create1(0), lost = 0;
    for (int index = 0; index < connections; index++) {
        fds[index] = connect_to(port);
        if (websocket) shake_hands(fds[index]);
        /* One round trip each, so that all of them are really served before anything is measured. */
        if (send(fds[index], message, there, MSG_NOSIGNAL) != there) fail("send");
        for (int got = 0; got < back;) {
            ssize_t bytes = recv(fds[index], buffer, back - got, 0);
            if (bytes <= 0) fail("the first echo");
            got += bytes;
        }
    }
    for (int index = 0; index < connections; index++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[index], &event) < 0) fail("epoll_ctl");
        if (send(fds[index], message, there, MSG_NOSIGNAL) != there) fail("send");
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
            if (come_back[index] >= back) {
                come_back[index] -= back;
                if (time >= start && time < end) counted++;
                if (send(fds[index], message, there, MSG_NOSIGNAL) != there) {
                    lost++;
                    close(fds[index]);
                }
            }
        }
    }
    printf("{\"messages\": %ld, \"lost\": %d, \"rate\": %f}\n", counted, lost, counted / duration);
    return 0;
}
