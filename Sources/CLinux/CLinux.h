// GNU-only calls and macros that the Glibc module does not import, as C functions.
#ifndef WEIR_CLINUX_H
#define WEIR_CLINUX_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/random.h>
#include <fcntl.h>
#include <unistd.h>

// accept4(2) needs _GNU_SOURCE to be declared, which the importer does not set for every header order.
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);

static inline int weir_accept(int listener, struct sockaddr *address, socklen_t *length) {
    return accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

#endif
