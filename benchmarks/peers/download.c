/* A load of downloads over HTTP/1.1: one thread, epoll, CONNECTIONS connections, each of which asks for PATH
   again when its last answer has come whole.

       download PORT PATH CONNECTIONS MS

   Every answer must have the status 200 and a Content-Length. One line of JSON says how many answers came whole, how
   many bytes of bodies came a second, and within how many seconds half of the answers had come whole, and 99 of 100.
   Only loopback, bounded in number and time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "latency.h"

enum { BUFFER = 256 * 1024, HEAD = 8192 };

struct connection {
    int fd, head_size;
    long left; /* bytes of the body; -1 while the head comes */
    double asked;
    char head[HEAD + 1];
};

static void ask(struct connection *one, const char *request) {
    int size = strlen(request);
    one->left = -1;
    one->head_size = 0;
    one->asked = now();
    if (send(one->fd, request, size, MSG_NOSIGNAL) != size) fail("send");
}

/* Take some bytes of the head; return how many of them belong to the body. */
static long take_head(struct connection *one, const char *data, long size) {
    long before = one->head_size, room = HEAD - before, taken = size < room ? size : room;
    memcpy(one->head + before, data, taken);
    one->head_size += taken;
    one->head[one->head_size] = 0;
    char *end = strstr(one->head, "\r\n\r\n");
    if (end == NULL) {
        if (one->head_size == HEAD) fail("the head of the answer");
        return 0;
    }
    end[2] = 0;
    char *length = strcasestr(one->head, "\r\ncontent-length:");
    if (strncmp(one->head, "HTTP/1.1 200", 12) != 0 || length == NULL) fail("the answer");
    one->left = atol(length + 17);
    return size - (end + 4 - one->head - before);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int port = atoi(argv[1]), connections = atoi(argv[3]), epoll = epoll_create1(0);
    double duration = atoi(argv[4]) / 1e3;
    char request[HEAD], *buffer = malloc(BUFFER);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", argv[2]);
    struct connection *all = calloc(connections, sizeof *all);
    for (int index = 0; index < connections; index++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        all[index].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(all[index].fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[index]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[index].fd, &event) < 0) fail("epoll_ctl");
        ask(&all[index], request);
    }
    double start = now(), time = start;
    long bytes = 0, requests = 0;
    struct epoll_event events[64];
    while (time < start + duration) {
        int ready = epoll_wait(epoll, events, 64, 100);
        for (int event = 0; event < ready; event++) {
            struct connection *one = events[event].data.ptr;
            long size = recv(one->fd, buffer, BUFFER, MSG_DONTWAIT);
            if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            if (size <= 0) fail("recv");
            if (one->left < 0) size = take_head(one, buffer, size);
            if (one->left < 0) continue;
            one->left -= size;
            bytes += size;
            if (one->left == 0) {
                requests++;
                count_latency(now() - one->asked);
                ask(one, request);
            }
        }
        time = now();
    }
    printf("{\"requests\": %ld, \"volume\": %f, \"seconds\": %f, \"p50\": %.9f, \"p99\": %.9f}\n", requests,
           bytes / (time - start), time - start, latency_of(0.50), latency_of(0.99));
    return 0;
}
