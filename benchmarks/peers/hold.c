/* Many TCP connections held open at once, each echoing now and then.

       hold PORT CONNECTIONS SIZE EVERY_MS MS

   Prints {"open": N} when all have been made and have echoed once, and waits for a line on standard input, so that
   somebody can look at the server meanwhile. Then each connection sends a message every EVERY_MS, spread evenly,
   for MS; at last one line says how many messages were sent and echoed and how many connections were lost: closed,
   broken, or with an echo that had not come two seconds after the end. Only loopback, bounded in number and time.
   Every few thousand connections come from another address of the loopback range, which has so many more ports. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { FROM_ONE_ADDRESS = 5000 };

struct connection {
    int fd;
    long waiting; /* bytes that have not come back */
};

static struct connection *all;
static long sent, echoed;
static int lost, size;
static char *message, buffer[65536];

static void lose(struct connection *one) {
    if (one->fd < 0) return;
    close(one->fd);
    one->fd = -1;
    lost++;
}

static int connect_to(int port, int index) {
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(port)};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + index / FROM_ONE_ADDRESS);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    struct linger at_once = {.l_onoff = 1};
    for (int tries = 0; tries < 100; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0) fail("socket");
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        /* Ended with a reset, a connection leaves no port behind that must be waited for. */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) fail("bind");
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
        close(fd);
        usleep(20000);
    }
    return -1;
}

static void say(struct connection *one) {
    if (one->fd < 0 || one->waiting > 0) return; /* one message at a time */
    if (send(one->fd, message, size, MSG_NOSIGNAL | MSG_DONTWAIT) != size) {
        lose(one);
        return;
    }
    one->waiting = size;
    sent++;
}

static void listen_for(int epoll, int milliseconds) {
    struct epoll_event events[1024];
    int ready = epoll_wait(epoll, events, 1024, milliseconds);
    for (int event = 0; event < ready; event++) {
        struct connection *one = &all[events[event].data.u32];
        if (one->fd < 0) continue;
        ssize_t bytes = recv(one->fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (bytes <= 0) {
            lose(one);
            continue;
        }
        one->waiting -= bytes;
        if (one->waiting == 0) echoed++;
    }
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    int port = atoi(argv[1]), connections = atoi(argv[2]);
    size = atoi(argv[3]);
    double every = atoi(argv[4]) / 1e3, duration = atoi(argv[5]) / 1e3;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    all = calloc(connections, sizeof *all);
    message = malloc(size);
    memset(message, 'x', size);
    int epoll = epoll_create1(0);
    for (int index = 0; index < connections; index++) {
        all[index].fd = connect_to(port, index);
        if (all[index].fd < 0) {
            lost++;
            continue;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[index].fd, &event) < 0) fail("epoll_ctl");
        say(&all[index]);
        if (index % 64 == 63) listen_for(epoll, 0);
    }
    for (double limit = now() + 10; echoed < sent && now() < limit;) listen_for(epoll, 100);
    printf("{\"open\": %d}\n", connections - lost);
    fflush(stdout);
    if (fgets(buffer, sizeof buffer, stdin) == NULL) return 1;

    double start = now(), end = start + duration, between = every / connections;
    long turn = 0;
    while (now() < end) {
        for (; turn < (now() - start) / between; turn++) say(&all[turn % connections]);
        listen_for(epoll, 1);
    }
    for (double limit = now() + 2; echoed < sent && now() < limit;) listen_for(epoll, 100);
    for (int index = 0; index < connections; index++)
        if (all[index].fd >= 0 && all[index].waiting > 0) lose(&all[index]);
    printf("{\"sent\": %ld, \"echoed\": %ld, \"lost\": %d}\n", sent, echoed, lost);
    return 0;
}
