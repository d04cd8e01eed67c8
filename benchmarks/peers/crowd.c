/* A crowd of visitors of an HTTP server, of whom not all are nice: one thread, epoll.

       crowd PORT BEHAVING TRICKLING DEAF EVERY_MS SETTLE_MS MS SEED

   Those that behave ask for "/" every EVERY_MS, each on a connection that it keeps. Those that trickle send a head that
   never ends, a byte a second. The deaf ask for "/large" and read nothing. Whoever loses its connection comes again.
   They come from 127.0.0.2 to 127.0.0.9, one after the other during SETTLE_MS, at times that SEED decides.

   Then, for MS, it is counted how long answers take. One line of JSON says that, and how many connections of each kind
   were lost, and refused with 408. "Late" are those who had no answer yet when they would have asked again. Only
   loopback, bounded in number and time. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum kind { BEHAVING, TRICKLING, DEAF, KINDS };
enum { ADDRESSES = 8, BUFFER = 16384, MOST_EVENTS = 1024 };

struct visitor {
    enum kind kind;
    int fd, connected, asked, refused;
    long sent, got, expected; /* bytes: of a head that trickles; of an answer */
    double due, asked_for;    /* when it does something next; when it has asked, or would have if it had come in */
    struct visitor *next;     /* in the line of its kind: those come first that are due first */
};

static const char *REQUESTS[KINDS] = {
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
};
static struct visitor *first[KINDS], *last[KINDS];
static long lost[KINDS], refused[KINDS], connects[KINDS];
static int epoll, port;
static double *latencies;
static long most, measured, answered, late, wrong;

static void line_up(struct visitor *one, double due) {
    one->due = due;
    one->next = NULL;
    if (last[one->kind] != NULL && first[one->kind] != NULL)
        last[one->kind]->next = one;
    else
        first[one->kind] = one;
    last[one->kind] = one;
}

static void come(struct visitor *one) {
    static int turn;
    struct sockaddr_in address = {.sin_family = AF_INET}, server = {.sin_family = AF_INET};
    int one_more = 1;
    one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (one->fd < 0) fail("socket");
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &one_more, sizeof one_more);
    setsockopt(one->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one_more, sizeof one_more);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % ADDRESSES);
    if (bind(one->fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    server.sin_port = htons(port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(one->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) fail("connect");
    one->connected = one->asked = one->refused = 0;
    one->sent = one->got = one->expected = 0;
    connects[one->kind]++;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = one};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, one->fd, &event) < 0) fail("epoll_ctl");
}

static void come_again(struct visitor *one) {
    int asked = one->asked;
    close(one->fd);
    lost[one->kind]++;
    come(one);
    if (one->kind == BEHAVING) one->asked = asked; /* and does so again */
}

static void ask(struct visitor *one) {
    const char *request = REQUESTS[one->kind];
    one->asked = 1;
    one->got = one->expected = 0;
    send(one->fd, request, strlen(request), MSG_NOSIGNAL);
}

/* Its time has come. Returns when it does something again. */
static double act(struct visitor *one, double period) {
    if (one->kind == BEHAVING) {
        if (one->asked) {
            late++; /* it asks as soon as it has its answer */
        } else {
            one->asked_for = now();
            if (one->connected) ask(one);
            else one->asked = 1;
        }
    } else if (one->kind == TRICKLING && one->connected) {
        const char *head = REQUESTS[TRICKLING];
        char byte = one->sent < (long)strlen(head) ? head[one->sent] : 'x';
        if (send(one->fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) one->sent++;
    }
    return one->due + period;
}

static void get_answer(struct visitor *one, double settled, double end) {
    char buffer[BUFFER + 1];
    for (;;) {
        long size = recv(one->fd, buffer, BUFFER, MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (size <= 0) {
            come_again(one);
            return;
        }
        buffer[size] = 0;
        if (one->kind == TRICKLING) {
            if (!one->refused && strncmp(buffer, "HTTP/1.1 408", 12) == 0) {
                one->refused = 1;
                refused[TRICKLING]++;
            }
            continue;
        }
        if (one->expected == 0) { /* the head of a small answer comes in one piece */
            char *end_of_head = strstr(buffer, "\r\n\r\n"), *length = strcasestr(buffer, "\r\ncontent-length:");
            if (strncmp(buffer, "HTTP/1.1 200", 12) != 0 || end_of_head == NULL || length == NULL) {
                wrong++;
                come_again(one);
                return;
            }
            one->expected = end_of_head + 4 - buffer + atol(length + 17);
        }
        one->got += size;
        if (one->got >= one->expected) {
            double time = now();
            answered++;
            if (one->asked_for >= settled && time < end && measured < most)
                latencies[measured++] = time - one->asked_for;
            one->asked = 0;
        }
    }
}

static int ascending(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv) {
    if (argc != 9) return 2;
    int counts[KINDS] = {atoi(argv[2]), atoi(argv[3]), atoi(argv[4])};
    double periods[KINDS] = {atoi(argv[5]) / 1e3, 1.0, 1.0};
    double settle = atoi(argv[6]) / 1e3, duration = atoi(argv[7]) / 1e3;
    port = atoi(argv[1]);
    srand(atoi(argv[8]));
    epoll = epoll_create1(0);
    most = (long)(counts[BEHAVING] * (duration / periods[BEHAVING] + 2)) + 1;
    latencies = calloc(most, sizeof *latencies);
    double start = now();
    struct visitor *all[KINDS];
    int arrived[KINDS] = {0};
    for (enum kind kind = 0; kind < KINDS; kind++) {
        all[kind] = calloc(counts[kind] + 1, sizeof *all[kind]);
        for (int index = 0; index < counts[kind]; index++) {
            all[kind][index].kind = kind;
            all[kind][index].due = start + (index + rand() / (RAND_MAX + 1.0)) / counts[kind] * settle;
        }
    }
    double settled = start + settle, end = settled + duration, time = start;
    struct epoll_event events[MOST_EVENTS];
    while (time < end) {
        double soonest = time + 0.05;
        for (enum kind kind = 0; kind < KINDS; kind++) {
            while (arrived[kind] < counts[kind] && all[kind][arrived[kind]].due <= time) {
                struct visitor *one = &all[kind][arrived[kind]++];
                come(one);
                line_up(one, one->due + periods[kind]);
            }
            while (first[kind] != NULL && first[kind]->due <= time) {
                struct visitor *one = first[kind];
                first[kind] = one->next;
                line_up(one, act(one, periods[kind]));
            }
            if (first[kind] != NULL && first[kind]->due < soonest) soonest = first[kind]->due;
        }
        int ready = epoll_wait(epoll, events, MOST_EVENTS, soonest > time ? (int)((soonest - time) * 1e3) + 1 : 0);
        time = now();
        for (int index = 0; index < ready; index++) {
            struct visitor *one = events[index].data.ptr;
            unsigned happened = events[index].events;
            if (happened & (EPOLLERR | EPOLLHUP)) {
                if (one->connected && one->kind != DEAF)
                    get_answer(one, settled, end); /* what came before the loss */
                else
                    come_again(one);
                continue;
            }
            if (!one->connected) {
                one->connected = 1;
                struct epoll_event event = {.events = one->kind == DEAF ? EPOLLRDHUP : EPOLLIN, .data.ptr = one};
                epoll_ctl(epoll, EPOLL_CTL_MOD, one->fd, &event);
                if (one->kind == DEAF || one->asked) ask(one);
                continue;
            }
            if (one->kind == DEAF)
                come_again(one);
            else
                get_answer(one, settled, end);
        }
    }
    qsort(latencies, measured, sizeof *latencies, ascending);
    double p50 = measured ? latencies[measured / 2] : 0, p99 = measured ? latencies[measured * 99 / 100] : 0;
    printf("{\"answered\": %ld, \"measured\": %ld, \"late\": %ld, \"wrong\": %ld, \"p50\": %f, \"p99\": %f, ", answered,
           measured, late, wrong, p50, p99);
    printf("\"max\": %f, \"lost\": [%ld, %ld, %ld], \"refused\": %ld, \"connects\": [%ld, %ld, %ld]}\n",
           measured ? latencies[measured - 1] : 0, lost[0], lost[1], lost[2], refused[TRICKLING], connects[0],
           connects[1], connects[2]);
    return 0;
}
