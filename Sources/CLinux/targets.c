// SPDX-License-Identifier: Apache-2.0
// Mount points: found or made inside the new root, whatever links lead there.
#define _GNU_SOURCE
#include "internal.h"

/// A path that is being walked: what is left of it, how many links were followed, and how often another was faster.
struct walk {
    char rest[2 * CLINUX_PATH];
    int folder;
    int links;
    int late;
    int is_file;
    const struct clinux_step *step;
    int has_made;
};

/// Puts a link's text before what is left; ELOOP or ENAMETOOLONG where that does not end.
static int follow(struct walk *walk, const char *name, const char *tail) {
    char text[2 * CLINUX_PATH];
    if ((walk->links += 1) > 40) return ELOOP;
    ssize_t length = readlinkat(walk->folder, name, text, CLINUX_PATH - 1);
    if (length <= 0) return length == 0 ? ENOENT : errno;
    size_t left = strlen(tail);
    if ((size_t)length + 1 + left + 1 > sizeof text) return ENAMETOOLONG;
    text[length] = '/';
    memcpy(text + length + 1, tail, left + 1);
    if (text[0] == '/') {
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) return errno;
        close(walk->folder);
        walk->folder = root;
    }
    memcpy(walk->rest, text, (size_t)length + 1 + left + 1);
    return 0;
}

/// Writes down where a new name lies, before it is made.
static void record_before(struct walk *walk, const char *name) {
    struct clinux_made *made = walk->step->made;
    if (made == NULL) return;
    struct stat status;
    if (!walk->has_made) {
        if (fchdir(walk->folder) != 0 || getcwd(made->top, CLINUX_PATH - 256) == NULL) return;
        if (strcmp(made->top, "/") != 0) strcat(made->top, "/");
        strncat(made->top, name, 255);
        strcpy(made->leaf, made->top);
        if (fstatat(walk->folder, "", &status, AT_EMPTY_PATH) == 0) made->before = status.st_mtim;
    } else if (strlen(made->leaf) + strlen(name) + 2 < CLINUX_PATH) {
        strcat(made->leaf, "/");
        strcat(made->leaf, name);
    }
}

/// Makes a name, and writes down where; gives the error's number, EEXIST where another made it meanwhile.
static int make(struct walk *walk, const char *name, int is_last) {
    struct clinux_made *made = walk->step->made;
    size_t known = made != NULL && walk->has_made ? strlen(made->leaf) : 0;
    record_before(walk, name);
    int is_file = is_last && walk->is_file;
    int file = is_file ? openat(walk->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)
                       : mkdirat(walk->folder, name, 0755);
    if (file < 0) {
        int error = errno;
        if (made != NULL) made->leaf[known] = 0;
        if (made != NULL && known == 0) made->top[0] = 0;
        return error;
    }
    const struct clinux_step *step = walk->step;
    if (is_file) close(file);
    else if ((step->uid | step->gid) != 0
        && fchownat(walk->folder, name, step->uid, step->gid, AT_SYMLINK_NOFOLLOW) != 0) return errno;
    struct stat status;
    if (made != NULL && !walk->has_made && fstatat(walk->folder, "", &status, AT_EMPTY_PATH) == 0) {
        made->after = status.st_mtim;
    }
    walk->has_made = 1;
    return 0;
}

/// Takes one name off the path; 0 to go on, or the error's number. `found` is set at the end of the path.
static int advance(struct walk *walk, int *found) {
    char name[256];
    const char *start = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(start, "/");
    if (length == 0) {
        *found = walk->folder;
        return 0;
    }
    if (length > 255) return ENAMETOOLONG;
    memcpy(name, start, length);
    name[length] = 0;
    const char *tail = start + length;
    int is_last = tail[strspn(tail, "/")] == 0;
    struct stat status;
    if (fstatat(walk->folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) return errno;
        int error = make(walk, name, is_last);
        // In a folder that steps share, a cache, another step wants the same mount point: what it made is looked at.
        if (error == EEXIST && (walk->late += 1) < 40) return 0;
        if (error != 0) return error;
    } else if (S_ISLNK(status.st_mode)) {
        char copy[2 * CLINUX_PATH];
        strcpy(copy, tail);
        return follow(walk, name, copy);
    }
    int next = openat(walk->folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0) return errno;
    close(walk->folder);
    walk->folder = next;
    memmove(walk->rest, tail, strlen(tail) + 1);
    return 0;
}

int clinux_open_target(const struct clinux_step *step, int is_file) {
    int existing = open(step->target, O_PATH | O_CLOEXEC | (is_file ? 0 : O_DIRECTORY));
    if (existing >= 0 || errno != ENOENT) return existing;
    struct walk walk = {.folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), .is_file = is_file, .step = step};
    if (walk.folder < 0) return -1;
    if (strlen(step->target) >= CLINUX_PATH) {
        close(walk.folder);
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(walk.rest, step->target);
    int found = -1;
    while (found < 0) {
        int error = advance(&walk, &found);
        if (error != 0) {
            close(walk.folder);
            errno = error;
            return -1;
        }
    }
    return found;
}
