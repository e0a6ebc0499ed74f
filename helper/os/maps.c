// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/page.h"
#include "os/maps.h"
#include "os/proc.h"

static bool name_is_special(const char *name)
{
	return !strncmp(name, "[vdso", 5) || !strncmp(name, "[vvar", 5) ||
	       !strncmp(name, "[vsyscall", 9) || !strncmp(name, "[uprobes", 8);
}

/* A number that ends with @end; *@at comes behind @end. */
static bool take(const char **at, int base, char end, uint64_t *value)
{
	char *behind;

	/* strtoull() takes blanks and signs before a number */
	if (!isxdigit((unsigned char)**at))
		return false;
	*value = strtoull(*at, &behind, base);
	*at = behind + 1;
	return *behind == end;
}

/*
 * By hand: sscanf() takes several times as long, and the program stands meanwhile.
 * Return: false when @line does not begin a mapping; *@name: behind the other fields
 */
static bool parse_head(const char *line, struct vma *vma, const char **name)
{
	uint64_t offset, major, minor;
	const char *at = line, *prot;

	if (!take(&at, 16, '-', &vma->start) || !take(&at, 16, ' ', &vma->end))
		return false;
	prot = at;
	if (strcspn(prot, " \n") != 4 || prot[4] != ' ')
		return false;
	at += 5;
	if (!take(&at, 16, ' ', &offset) || !take(&at, 16, ':', &major) ||
	    !take(&at, 16, ' ', &minor) || !take(&at, 10, ' ', &vma->ino))
		return false;
	*name = at + strspn(at, " ");
	vma->major = major;
	vma->minor = minor;
	vma->prot = (prot[0] == 'r' ? PROT_READ : 0) | (prot[1] == 'w' ? PROT_WRITE : 0) |
		    (prot[2] == 'x' ? PROT_EXEC : 0);
	vma->shared = prot[3] == 's';
	vma->anon = !vma->ino && !vma->major && !vma->minor;
	return true;
}

static void parse_flags(char *flags, struct vma *vma)
{
	char *save, *flag;

	for (flag = strtok_r(flags, " \n", &save); flag; flag = strtok_r(NULL, " \n", &save)) {
		if (!strcmp(flag, "ht"))
			vma->hugetlb = true;
		else if (!strcmp(flag, "lo"))
			vma->locked = true;
		else if (!strcmp(flag, "io") || !strcmp(flag, "pf"))
			vma->io = true;
		else if (!strcmp(flag, "mw"))
			vma->maywrite = true;
		else if (!strcmp(flag, "wf"))
			vma->wipeonfork = true;
		else if (!strcmp(flag, "gd"))
			vma->growsdown = true;
		else if (!strcmp(flag, "um") || !strcmp(flag, "uw") || !strcmp(flag, "ui"))
			vma->uffd = true;
		else if (!strcmp(flag, "hg"))
			vma->huge_wanted = true;
		else if (!strcmp(flag, "nh"))
			vma->huge_refused = true;
	}
}

/* Not by sscanf(), which takes longer than the kernel does for the line. */
static bool has_field(const char *line, const char *name, uint64_t *kib)
{
	size_t bytes = strlen(name);

	if (strncmp(line, name, bytes))
		return false;
	*kib = strtoull(line + bytes, NULL, 10);
	return true;
}

/* Of smaps: a name with a capital, a colon, and what the kernel says of @vma. */
static void parse_field(char *line, struct vma *vma)
{
	uint64_t kib;

	if (*line == 'V' && !strncmp(line, "VmFlags:", 8))
		parse_flags(line + 8, vma);
	else if (has_field(line, "KernelPageSize:", &kib))
		vma->page_kib = kib;
	else if (has_field(line, "Anonymous:", &kib) || has_field(line, "Private_Hugetlb:", &kib) ||
		 has_field(line, "Shared_Hugetlb:", &kib) || has_field(line, "Swap:", &kib))
		vma->own_bytes += kib * 1024;
}

static int append(struct vma_list *list, const struct vma *vma, const char *name,
		  struct vma **last, struct error *err)
{
	struct vma *vmas = list->vmas;

	/* grown by doubling; the capacity is the next power of two */
	if (!(list->nr & (list->nr - 1))) {
		vmas = realloc(vmas, (list->nr ? 2 * list->nr : 1) * sizeof(*vmas));
		if (!vmas)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for mappings");
		list->vmas = vmas;
	}
	vmas += list->nr;
	*vmas = *vma;
	vmas->name = strndup(name, strcspn(name, "\n"));
	if (!vmas->name)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for mappings");
	vmas->special = name_is_special(vmas->name);
	list->nr++;
	*last = vmas;
	return 0;
}

/*
 * The kernel gives the list in pieces. A mapping that merges with earlier mappings between two
 * pieces comes once more, and larger: cut off the part that @list has already.
 * Return: false when @list has the whole mapping
 */
static bool clip(struct vma *vma, const struct vma_list *list)
{
	uint64_t end = list->nr ? list->vmas[list->nr - 1].end : 0;

	if (vma->start < end)
		vma->start = end;
	return vma->start < vma->end;
}

int maps_parse(FILE *file, struct vma_list *list, struct error *err)
{
	struct vma *last = NULL;
	char *line = NULL;
	size_t cap = 0;
	const char *name;
	int ret = 0;

	memset(list, 0, sizeof(*list));
	while (!ret && getline(&line, &cap, file) > 0) {
		struct vma vma = { 0 };

		if (last && isupper((unsigned char)*line)) {
			parse_field(line, last);
		} else if (parse_head(line, &vma, &name)) {
			/* vsyscall, above user space, is no mapping of the task */
			last = NULL;
			if (vma.end <= vma.start || (vma.start < USER_END && vma.end > USER_END))
				ret = error_set(err, CODE_INTERNAL, NULL,
						"the list of mappings has a wrong one: 0x%lx-0x%lx",
						vma.start, vma.end);
			else if (vma.start < USER_END && clip(&vma, list))
				ret = append(list, &vma, name, &last, err);
		}
	}
	if (!ret && ferror(file))
		ret = error_errno(err, CODE_TARGET, NULL, "cannot read a list of mappings");
	free(line);
	if (ret)
		maps_free(list);
	return ret;
}

int maps_read(pid_t pid, bool with_flags, struct vma_list *list, struct error *err)
{
	char path[64], buffer[PROC_TEXT_BYTES];
	FILE *file;
	int ret;

	memset(list, 0, sizeof(*list));
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, with_flags ? "smaps" : "maps");
	file = fopen(path, "re");
	if (!file)
		return error_errno(err, errno == ENOENT ? CODE_TARGET : CODE_NOT_READY,
				   errno == EACCES ? "run as root" : NULL, "cannot open %s", path);
	setvbuf(file, buffer, _IOFBF, sizeof(buffer));
	ret = maps_parse(file, list, err);
	fclose(file);
	if (!ret && !list->nr)
		ret = error_set(err, CODE_TARGET, NULL, "process %d has exited", pid);
	return ret;
}

void maps_free(struct vma_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		free(list->vmas[i].name);
	free(list->vmas);
	memset(list, 0, sizeof(*list));
}

const struct vma *maps_find(const struct vma_list *list, uint64_t addr)
{
	size_t low = 0, high = list->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list->vmas[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->nr && list->vmas[low].start <= addr ? &list->vmas[low] : NULL;
}

bool vma_is_ours(const struct vma *vma)
{
	return !vma->shared && !vma->special && !vma->io && !vma->hugetlb;
}
