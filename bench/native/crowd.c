// A crowd that begins and does not go on: N clients that each send the same bytes, never read, and come back
// as soon as they are cut.
//
//   crowd PORT N < bytes
//
// The bytes on stdin are what each client sends, as far as they are taken. Ends with a signal; every second a
// line on stdout says how many connections were opened, and how many ended, so far.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 4 << 20, EVENTS = 256 };

static char bytes[BYTES];
static size_t count;
static struct { int fd; size_t sent; } *clients;
static long opened, ended;
static int poller, port;

static void renew(int i) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), small = 8192;
    if (fd < 0) { perror("socket"); exit(1); }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    clients[i].fd = fd;
    clients[i].sent = 0;
    connect(fd, (struct sockaddr *)&to, sizeof to);
    opened++;
    struct epoll_event event = {EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u32 = (unsigned)i}};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    port = atoi(argv[1]);
    int n = atoi(argv[2]);
    clients = calloc((size_t)n, sizeof *clients);
    poller = epoll_create1(0);
    for (ssize_t more; (more = read(0, bytes + count, BYTES - count)) > 0; count += (size_t)more);
    for (int i = 0; i < n; i++) renew(i);
    time_t said = time(NULL);
    struct epoll_event events[EVENTS];
    while (1) {
        int found = epoll_wait(poller, events, EVENTS, 1000);
        for (int e = 0; e < found; e++) {
            int i = (int)events[e].data.u32, is_over = events[e].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
            while (!is_over && clients[i].sent < count) {
                ssize_t moved =
                    send(clients[i].fd, bytes + clients[i].sent, count - clients[i].sent, MSG_NOSIGNAL);
                if (moved > 0) clients[i].sent += (size_t)moved;
                else if (errno == EAGAIN || errno == ENOTCONN) break;
                else is_over = 1;
            }
            if (!is_over) continue;
            close(clients[i].fd);
            ended++;
            renew(i);
        }
        if (time(NULL) != said) {
            said = time(NULL);
            printf("%ld %ld\n", opened, ended);
            fflush(stdout);
        }
    }
}
