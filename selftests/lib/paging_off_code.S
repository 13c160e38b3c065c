/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Code that is copied to PAGING_OFF_GPA, where linear and physical addresses are the
 * same.  It is linked elsewhere, so it names everything by its distance from the
 * start.
 */
#define BASE		0x30000000	/* PAGING_OFF_GPA */
#define AT(label)	(BASE + label - paging_off_begin)
#define OFFSET(label)	(label - paging_off_begin)

#define CODE_64		8		/* selectors, the library's own and one more */
#define DATA		16
#define CODE_32		32

#define CR0_PG_BIT	31
#define CR0_ON		0x80000031	/* PG, NE, ET, PE */
#define CR4_ON		0x620		/* PAE, OSFXSR, OSXMMEXCPT */
#define MSR_EFER	0xc0000080
#define EFER_ON		0x900		/* LME, NX */

	.section .rodata
	.globl	paging_off_begin, paging_off_end, paging_off_toggle, paging_off_parameters
	.globl	paging_off_cr4_bits
paging_off_begin:
	/* Real mode; the host has set the base of CS. */
	.code16
	cli
	lgdtl	%cs:OFFSET(gdt_pointer)
	movl	$CR4_ON, %eax
	movl	%eax, %cr4
	movl	%cs:OFFSET(paging_off_parameters), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_ON, %eax
	wrmsr
	movl	$CR0_ON, %eax
	movl	%eax, %cr0
	ljmpl	$CODE_64, $AT(long_mode)

	.code64
long_mode:
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movq	AT(paging_off_parameters) + 8, %rsp
	jmp	*(AT(paging_off_parameters) + 16)

	/* A function of 64-bit mode, which clobbers RAX and RDX. */
paging_off_toggle:
	push	%rbp
	movq	%rsp, %rbp
	sgdt	AT(saved_gdt)
	lgdt	AT(gdt_pointer)
	ljmpl	*AT(to_32_bits)

	.code32
in_32_bits:
	movl	%cr0, %eax
	btrl	$CR0_PG_BIT, %eax
	movl	%eax, %cr0
	/* Without bits to toggle this changes nothing, and no one intercepts it. */
	movl	%cr4, %edx
	xorl	AT(paging_off_cr4_bits), %edx
	movl	%edx, %cr4
	xorl	AT(paging_off_cr4_bits), %edx
	movl	%edx, %cr4
	btsl	$CR0_PG_BIT, %eax
	movl	%eax, %cr0
	ljmpl	$CODE_64, $AT(in_64_bits)

	.code64
in_64_bits:
	lgdt	AT(saved_gdt)
	movq	%rbp, %rsp
	pop	%rbp
	ret

	.balign	8
gdt:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0x00cf9b000000ffff
gdt_pointer:
	.word	39
	.quad	AT(gdt)
saved_gdt:
	.word	0
	.quad	0
to_32_bits:
	.long	AT(in_32_bits)
	.word	CODE_32
	.balign	8
paging_off_parameters:
	.quad	0, 0, 0
paging_off_cr4_bits:
	.long	0
paging_off_end:
	.section .note.GNU-stack, "", @progbits
