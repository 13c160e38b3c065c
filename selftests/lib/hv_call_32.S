/* SPDX-License-Identifier: GPL-2.0 */
/*
 * u64 hv_call_32(u64 control, u64 input, u64 output): a hypercall from a 32-bit code
 * segment, with paging as it is.  A function of 64-bit mode; of what it needs later it
 * keeps only RSP in registers, since L1 may run meanwhile.
 */
#define CODE_64		8		/* selectors, as the library has them, and one more */
#define CODE_32		32
#define JUNK		0x5a5a5a5a00000000	/* what no 32-bit call may look at */

	.text
	.globl	hv_call_32, hv_call_32_vmcall
hv_call_32:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	sub	$16, %rsp
	sgdt	(%rsp)
	lgdt	gdt_pointer(%rip)
	mov	%rdx, %r10

	/* EDX:EAX, EBX:ECX, EDI:ESI */
	movabs	$JUNK, %r11
	mov	%edi, %eax
	shr	$32, %rdi
	mov	%edi, %edx
	mov	%esi, %ecx
	shr	$32, %rsi
	mov	%esi, %ebx
	mov	%r10d, %esi
	shr	$32, %r10
	mov	%r10d, %edi
	or	%r11, %rax
	or	%r11, %rbx
	or	%r11, %rcx
	or	%r11, %rdx
	or	%r11, %rsi
	or	%r11, %rdi
	ljmpl	*to_32_bits(%rip)

	.code32
hv_call_32_vmcall:
	vmcall
	ljmpl	$CODE_64, $in_64_bits

	.code64
in_64_bits:
	mov	%eax, %eax
	shl	$32, %rdx
	or	%rdx, %rax
	lgdt	(%rsp)
	add	$16, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	/* The CPU sets the descriptors' accessed bits, but for those that have them. */
	.section .rodata
	.balign	8
gdt:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0x00cf9b000000ffff
gdt_pointer:
	.word	39
	.quad	gdt
to_32_bits:
	.long	hv_call_32_vmcall
	.word	CODE_32
	.section .note.GNU-stack, "", @progbits
