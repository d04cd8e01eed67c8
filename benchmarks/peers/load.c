/* A load of echo: one thread, epoll, CONNECTIONS connections, messages of SIZE bytes. Each connection sends its
   next message when the last one has come back whole.

       load PORT CONNECTIONS SIZE WARM_UP_MS MS [websocket]

   With the last word each connection begins with the handshake of WebSocket, and the messages are frames of
   binary data: masked on their way there, and two or four bytes longer than SIZE on their way back.
   What comes back between the end of the warm-up and MS later is counted, and how long it takes for what is sent
   meanwhile. Every byte that comes back is compared. When another one comes, or a connection is lost (closed, broken,
   or with an echo that had not come WAIT seconds after the end), the figure is void, and there is none. One line of
   JSON says how many came back a second, and within how many seconds half of them, and 99 of 100. Only loopback,
   bounded in number and time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "latency.h"

enum { WAIT = 30 }; /* seconds; the slowest needs half of that */

static void void_figure(const char *why) {
    fprintf(stderr, "%s: the figure is void\n", why);
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

/* Fill in letters that differ from their neighbours, so that bytes that come in another order are noticed. */
static void fill(char *message, int size) {
    for (int index = 0; index < size; index++) message[index] = 'a' + index % 26;
}

/* Make a frame of `size` bytes of content, masked or not; return its size. */
static int make_frame(unsigned char *frame, const char *content, int size, int masked) {
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    int at = 0;
    frame[at++] = 0x82;
    frame[at++] = (masked ? 0x80 : 0) | (size < 126 ? size : 126);
    if (size >= 126) {
        frame[at++] = size >> 8;
        frame[at++] = size & 255;
    }
    if (masked) {
        memcpy(frame + at, mask, 4);
        at += 4;
    }
    for (int index = 0; index < size; index++) frame[at++] = content[index] ^ (masked ? mask[index % 4] : 0);
    return at;
}

struct connection {
    int fd, come_back; /* bytes of the echo that is under way */
    double sent;       /* when the message was */
};

static char *message, *wanted; /* what is sent, and what has to come back */
static int there, back;        /* bytes of both */

static void say(struct connection *one, double time) {
    one->come_back = 0;
    one->sent = time;
    if (send(one->fd, message, there, MSG_NOSIGNAL) != there) void_figure("a connection was lost");
}

/* Take what there is; return whether the echo is whole. */
static int listen_to(struct connection *one, int flags) {
    static char buffer[65536];
    ssize_t bytes = recv(one->fd, buffer, sizeof buffer, flags);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR) && flags) return 0;
    if (bytes <= 0) void_figure("a connection was lost");
    if (bytes > back - one->come_back) void_figure("more came back than was sent");
    if (memcmp(buffer, wanted + one->come_back, bytes) != 0) void_figure("other bytes came back than were sent");
    one->come_back += bytes;
    return one->come_back == back;
}

int main(int argc, char **argv) {
    if (argc != 6 && !(argc == 7 && strcmp(argv[6], "websocket") == 0)) return 2;
    int websocket = argc == 7;
    int port = atoi(argv[1]), connections = atoi(argv[2]), size = atoi(argv[3]);
    double warm_up = atoi(argv[4]) / 1e3, duration = atoi(argv[5]) / 1e3;
    if (connections < 1 || size < 1 || (websocket && size > 65535)) return 2;
    char *content = malloc(size);
    fill(content, size);
    message = wanted = content;
    there = back = size;
    if (websocket) {
        message = malloc(size + 8);
        wanted = malloc(size + 8);
        there = make_frame((unsigned char *)message, content, size, 1);
        back = make_frame((unsigned char *)wanted, content, size, 0);
    }
    struct connection *all = calloc(connections, sizeof *all);
    int epoll = epoll_create1(0);
    for (int index = 0; index < connections; index++) {
        all[index].fd = connect_to(port);
        if (websocket) shake_hands(all[index].fd);
        /* One round trip each, so that all of them are really served before anything is measured. */
        say(&all[index], 0);
        while (!listen_to(&all[index], 0)) continue;
    }
    double start = now() + warm_up, end = start + duration;
    for (int index = 0; index < connections; index++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[index]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[index].fd, &event) < 0) fail("epoll_ctl");
        say(&all[index], now());
    }
    long counted = 0;
    int under_way = connections;
    struct epoll_event events[1024];
    while (under_way > 0) { /* at the end nothing more is sent, and the last echoes are waited for */
        int ready = epoll_wait(epoll, events, 1024, 100);
        double time = now();
        if (time > end + WAIT) void_figure("echoes have not come back");
        for (int event = 0; event < ready; event++) {
            struct connection *one = events[event].data.ptr;
            if (!listen_to(one, MSG_DONTWAIT)) continue;
            time = now();
            if (time >= start && time < end) counted++;
            if (one->sent >= start) count_latency(time - one->sent);
            if (time < end)
                say(one, time);
            else
                under_way--;
        }
    }
    if (counted == 0) void_figure("nothing has come back in time");
    printf("{\"messages\": %ld, \"rate\": %f, \"p50\": %.9f, \"p99\": %.9f}\n", counted, counted / duration,
           latency_of(0.50), latency_of(0.99));
    return 0;
}
