// The floor: bytes from a client to a server and back, one connection each, without a look at them. What a
// proxy of one thread with plain sockets cannot go below: one recv and one send per direction and message.
//
//   relay PORT UPSTREAM-PORT        both on 127.0.0.1
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ = 256 << 10, EVENTS = 256, ACCEPTS = 64 };

// One end of a pair. `kept` are bytes for this end that its socket has not taken.
struct end {
    struct end *other;
    char *kept;
    size_t kept_bytes, kept_from;
    int fd, is_closed;
};

static int poller;
static char inbox[READ];
static struct end *closed[2 * EVENTS];
static int closed_count;

static void watch(struct end *e, int operation) {
    uint32_t events = (e->other->kept_bytes ? 0 : EPOLLIN) | (e->kept_bytes ? EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = e};
    epoll_ctl(poller, operation, e->fd, &event);
}

// Closes both ends; their memory goes at the end of the turn, when no event names them any more.
static void close_pair(struct end *e) {
    if (e->is_closed) return;
    close(e->fd);
    close(e->other->fd);
    e->is_closed = e->other->is_closed = 1;
    closed[closed_count++] = e;
    closed[closed_count++] = e->other;
}

static void readable(struct end *e) {
    struct end *other = e->other;
    if (other->kept_bytes) return;
    ssize_t count = recv(e->fd, inbox, READ, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return close_pair(e);
    ssize_t sent = send(other->fd, inbox, (size_t)count, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != ENOTCONN) return close_pair(e);
    if (sent < 0) sent = 0;
    if (sent == count) return;
    other->kept_bytes = (size_t)(count - sent);
    other->kept_from = 0;
    other->kept = realloc(other->kept, other->kept_bytes);
    if (!other->kept) exit(1);
    memcpy(other->kept, inbox + sent, other->kept_bytes);
    watch(other, EPOLL_CTL_MOD);
    watch(e, EPOLL_CTL_MOD);
}

static void writable(struct end *e) {
    ssize_t sent = send(e->fd, e->kept + e->kept_from, e->kept_bytes, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) close_pair(e);
        return;
    }
    e->kept_from += (size_t)sent;
    e->kept_bytes -= (size_t)sent;
    if (e->kept_bytes) return;
    watch(e, EPOLL_CTL_MOD);
    watch(e->other, EPOLL_CTL_MOD);
}

static struct end *new_end(int fd) {
    struct end *e = calloc(1, sizeof *e);
    if (!e) exit(1);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    e->fd = fd;
    return e;
}

static void admit(int listener, const struct sockaddr_in *upstream) {
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        int up = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (up < 0) {
            close(fd);
            return;
        }
        if (connect(up, (const struct sockaddr *)upstream, sizeof *upstream) < 0 && errno != EINPROGRESS) {
            close(fd);
            close(up);
            continue;
        }
        struct end *down = new_end(fd), *other = new_end(up);
        down->other = other;
        other->other = down;
        watch(down, EPOLL_CTL_ADD);
        watch(other, EPOLL_CTL_ADD);
    }
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in upstream = here;
    here.sin_port = htons((unsigned short)atoi(arguments[1]));
    upstream.sin_port = htons((unsigned short)atoi(arguments[2]));
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 4096) < 0) {
        perror("relay");
        return 1;
    }
    poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int found = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < found; i++) {
            struct end *e = events[i].data.ptr;
            if (!e) {
                admit(listener, &upstream);
                continue;
            }
            if (e->is_closed) continue;
            if (events[i].events & EPOLLOUT && e->kept_bytes) writable(e);
            if (e->is_closed) continue;
            if (events[i].events & EPOLLIN) readable(e);
            else if (events[i].events & (EPOLLHUP | EPOLLERR)) close_pair(e);
        }
        while (closed_count) {
            struct end *e = closed[--closed_count];
            free(e->kept);
            free(e);
        }
    }
}
