// SPDX-License-Identifier: GPL-2.0
/*
 * labbus: an I2C adapter and an SPI controller whose chips are a process.
 *
 * What a program sees are the kernel's own nodes: /dev/i2c-N (I2C_RDWR with any messages; SMBus is emulated on it by the
 * kernel) and /dev/spidevN.0 to /dev/spidevN.3. What happens on them is handed to the process that holds /dev/labbus
 * open. Without one I2C addresses are not acknowledged and SPI reads ones.
 *
 * Module parameters
 *   i2c_nr=N     number of the I2C adapter, default: the first free one
 *   spi_nr=N     number of the SPI controller, default: the first free one
 *
 * debugfs, labbus/: what goes wrong on the buses, whatever is connected
 *   nak          the next N I2C transfers fail with nak_errno
 *   nak_errno    6 (ENXIO, as most adapters answer, the default) or 121 (EREMOTEIO, as the Raspberry Pi's does); also what
 *                an address that the process does not acknowledge gives
 *   timeout      the next N I2C transfers fail with ETIMEDOUT after 20 ms
 *   corrupt      the next N I2C transfers that read have the lowest bit of their first byte inverted
 *   spi_fail     the next N SPI messages fail with EIO
 *   delay_us     every transfer takes this much longer
 *
 * /dev/labbus, all numbers little endian. One process at a time. Every read() gives one request, poll() works:
 *   u32 seq; u8 kind (0 I2C, 1 SPI); u8 bus; u16 count;
 *   count times: u16 addr (SPI: chip select); u16 flags; u32 len; with flag 2: len bytes
 *   flags: 1 the process has to supply len bytes, 2 the bytes written follow, 4 (SPI) chip select is let go after this
 * It is answered by one write(), within two seconds or the transfer fails with ETIMEDOUT:
 *   u32 seq; s32 status (0 or a negative errno: ENXIO is "not acknowledged"); after status 0 the bytes of all parts with
 *   flag 1, one after the other
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/i2c.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/spi/spi.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#define NUM_CS		4
#define ANSWER_WITHIN	(2 * HZ)

enum { PART_READ = 1, PART_WRITE = 2, PART_CS_OFF = 4 };

static int i2c_nr = -1;
module_param(i2c_nr, int, 0444);
MODULE_PARM_DESC(i2c_nr, "number of the I2C adapter");
static int spi_nr = -1;
module_param(spi_nr, int, 0444);
MODULE_PARM_DESC(spi_nr, "number of the SPI controller");

static struct platform_device *pdev;
static struct i2c_adapter adap;
static struct spi_controller *ctlr;
static struct dentry *dbg;

static u32 nak, nak_errno = ENXIO, tmo, corrupt, spi_fail, delay_us;

/* ---- requests to the process at /dev/labbus ---- */

struct req {
	struct list_head link;
	u32 seq;
	u8 *out, *in;			/* the request as read(), the bytes that its answer has to bring */
	size_t outlen, inlen;
	int status;
	bool sent;
	struct completion done;
};

static DEFINE_MUTEX(qlock);		/* guards queue, seqno, opened and every queued request */
static LIST_HEAD(queue);
static DECLARE_WAIT_QUEUE_HEAD(qwait);
static u32 seqno;
static bool opened;

static int req_alloc(struct req *r)
{
	r->out = kvzalloc(r->outlen, GFP_KERNEL);
	r->in = kvzalloc(max_t(size_t, r->inlen, 1), GFP_KERNEL);
	return r->out && r->in ? 0 : -ENOMEM;
}

static void req_free(struct req *r)
{
	kvfree(r->out);
	kvfree(r->in);
}

static u8 *put_head(u8 *p, u8 kind, u8 bus, u16 count)
{
	p[4] = kind;			/* p[0..3], the number, is filled in when the request is queued */
	p[5] = bus;
	memcpy(p + 6, &count, 2);
	return p + 8;
}

static u8 *put_part(u8 *p, u16 addr, u16 flags, u32 len, const void *data)
{
	memcpy(p, &addr, 2);
	memcpy(p + 2, &flags, 2);
	memcpy(p + 4, &len, 4);
	p += 8;
	if (flags & PART_WRITE) {
		memcpy(p, data, len);
		p += len;
	}
	return p;
}

static int req_ask(struct req *r)
{
	init_completion(&r->done);
	mutex_lock(&qlock);
	if (!opened) {
		mutex_unlock(&qlock);
		return -ENXIO;
	}
	r->seq = ++seqno;
	memcpy(r->out, &r->seq, 4);
	r->status = -ETIMEDOUT;
	list_add_tail(&r->link, &queue);
	mutex_unlock(&qlock);
	wake_up(&qwait);

	wait_for_completion_timeout(&r->done, ANSWER_WITHIN);
	mutex_lock(&qlock);		/* whoever completed it has let go of it when this lock is ours */
	list_del_init(&r->link);
	mutex_unlock(&qlock);
	return r->status;
}

static void req_finish(struct req *r, int status)
{
	r->status = status;
	list_del_init(&r->link);
	complete(&r->done);
}

static struct req *first_unsent(void)
{
	struct req *r;

	list_for_each_entry(r, &queue, link)
		if (!r->sent)
			return r;
	return NULL;
}

static bool have_unsent(void)
{
	bool yes;

	mutex_lock(&qlock);
	yes = first_unsent();
	mutex_unlock(&qlock);
	return yes;
}

static int dev_open(struct inode *inode, struct file *file)
{
	int rc = 0;

	mutex_lock(&qlock);
	if (opened)
		rc = -EBUSY;
	opened = true;
	mutex_unlock(&qlock);
	return rc;
}

static int dev_release(struct inode *inode, struct file *file)
{
	struct req *r, *next;

	mutex_lock(&qlock);
	opened = false;
	list_for_each_entry_safe(r, next, &queue, link)
		req_finish(r, -ENXIO);
	mutex_unlock(&qlock);
	return 0;
}

static ssize_t dev_read(struct file *file, char __user *buf, size_t n, loff_t *off)
{
	struct req *r;
	ssize_t rc;

	for (;;) {
		mutex_lock(&qlock);
		r = first_unsent();
		if (r) {
			rc = r->outlen;
			if (n < r->outlen)
				rc = -EMSGSIZE;
			else if (copy_to_user(buf, r->out, r->outlen))
				rc = -EFAULT;
			else
				r->sent = true;
			mutex_unlock(&qlock);
			return rc;
		}
		mutex_unlock(&qlock);
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(qwait, have_unsent()))
			return -ERESTARTSYS;
	}
}

static ssize_t dev_write(struct file *file, const char __user *buf, size_t n, loff_t *off)
{
	struct { u32 seq; s32 status; } head;
	struct req *r;
	ssize_t rc = -ENOENT;		/* no such request, or it has timed out */

	if (n < sizeof(head) || copy_from_user(&head, buf, sizeof(head)))
		return -EINVAL;
	if (head.status > 0 || head.status < -MAX_ERRNO)
		return -EINVAL;
	mutex_lock(&qlock);
	list_for_each_entry(r, &queue, link) {
		if (r->seq != head.seq)
			continue;
		rc = n;
		if (!head.status && (n - sizeof(head) != r->inlen || copy_from_user(r->in, buf + sizeof(head), r->inlen))) {
			rc = -EINVAL;	/* too short or too long an answer */
			head.status = -EIO;
		}
		req_finish(r, head.status);
		break;
	}
	mutex_unlock(&qlock);
	return rc;
}

static __poll_t dev_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &qwait, wait);
	return EPOLLOUT | (have_unsent() ? EPOLLIN : 0);
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,
	.open = dev_open,
	.release = dev_release,
	.read = dev_read,
	.write = dev_write,
	.poll = dev_poll,
};
static struct miscdevice misc = { .minor = MISC_DYNAMIC_MINOR, .name = "labbus", .fops = &dev_fops };

/* ---- I2C ---- */

static int i2c_user(struct i2c_msg *m, int n)
{
	struct req r = { .outlen = 8 };
	int i, rc;
	u8 *p;

	for (i = 0; i < n; i++) {
		r.outlen += 8;
		if (m[i].flags & I2C_M_RD)
			r.inlen += m[i].len;
		else
			r.outlen += m[i].len;
	}
	rc = req_alloc(&r);
	if (rc)
		goto out;
	p = put_head(r.out, 0, adap.nr, n);
	for (i = 0; i < n; i++)
		p = put_part(p, m[i].addr, m[i].flags & I2C_M_RD ? PART_READ : PART_WRITE, m[i].len, m[i].buf);
	rc = req_ask(&r);
	for (p = r.in, i = 0; !rc && i < n; i++) {
		if (m[i].flags & I2C_M_RD) {
			memcpy(m[i].buf, p, m[i].len);
			p += m[i].len;
		}
	}
out:
	req_free(&r);
	return rc;
}

static int lab_i2c_xfer(struct i2c_adapter *a, struct i2c_msg *m, int n)
{
	int i, rc;

	if (delay_us)
		usleep_range(delay_us, delay_us + 50);
	if (nak) {
		nak--;
		return -(int)nak_errno;
	}
	if (tmo) {
		tmo--;
		msleep(20);
		return -ETIMEDOUT;
	}
	for (i = 0; i < n; i++)
		if (m[i].flags & (I2C_M_TEN | I2C_M_RECV_LEN))
			return -EOPNOTSUPP;
	rc = i2c_user(m, n);
	if (rc == -ENXIO)
		rc = -(int)nak_errno;
	for (i = 0; corrupt && !rc && i < n; i++) {
		if (m[i].flags & I2C_M_RD && m[i].len) {
			m[i].buf[0] ^= 1;
			corrupt--;
			break;
		}
	}
	return rc ?: n;
}

static u32 lab_i2c_func(struct i2c_adapter *a)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm lab_i2c_algo = { .master_xfer = lab_i2c_xfer, .functionality = lab_i2c_func };

/* ---- SPI ---- */

static int spi_user(int cs, struct spi_message *m)
{
	struct req r = { .outlen = 8 };
	struct spi_transfer *t;
	int rc, n = 0;
	u8 *p;

	list_for_each_entry(t, &m->transfers, transfer_list) {
		n++;
		r.outlen += 8 + (t->tx_buf ? t->len : 0);
		r.inlen += t->rx_buf ? t->len : 0;
	}
	rc = req_alloc(&r);
	if (rc)
		goto out;
	p = put_head(r.out, 1, ctlr->bus_num, n);
	list_for_each_entry(t, &m->transfers, transfer_list)
		p = put_part(p, cs, (t->rx_buf ? PART_READ : 0) | (t->tx_buf ? PART_WRITE : 0) | (t->cs_change ? PART_CS_OFF : 0),
			     t->len, t->tx_buf);
	rc = req_ask(&r);
	p = r.in;
	if (!rc) {
		list_for_each_entry(t, &m->transfers, transfer_list) {
			if (t->rx_buf) {
				memcpy(t->rx_buf, p, t->len);
				p += t->len;
			}
		}
	}
out:
	req_free(&r);
	return rc;
}

static int lab_spi_message(struct spi_controller *c, struct spi_message *m)
{
	struct spi_transfer *t;

	if (delay_us)
		usleep_range(delay_us, delay_us + 50);
	m->actual_length = 0;
	if (spi_fail) {
		spi_fail--;
		m->status = -EIO;
	} else {
		m->status = spi_user(spi_get_chipselect(m->spi, 0), m);
	}
	if (m->status == -ENXIO) {	/* nobody drives the line: SPI cannot tell */
		m->status = 0;
		list_for_each_entry(t, &m->transfers, transfer_list)
			if (t->rx_buf)
				memset(t->rx_buf, 0xff, t->len);
	}
	if (!m->status)
		list_for_each_entry(t, &m->transfers, transfer_list)
			m->actual_length += t->len;
	spi_finalize_current_message(c);
	return 0;
}

/* ---- module ---- */

static void __init make_debugfs(void)
{
	dbg = debugfs_create_dir("labbus", NULL);
	debugfs_create_u32("nak", 0644, dbg, &nak);
	debugfs_create_u32("nak_errno", 0644, dbg, &nak_errno);
	debugfs_create_u32("timeout", 0644, dbg, &tmo);
	debugfs_create_u32("corrupt", 0644, dbg, &corrupt);
	debugfs_create_u32("spi_fail", 0644, dbg, &spi_fail);
	debugfs_create_u32("delay_us", 0644, dbg, &delay_us);
}

static int __init lab_init(void)
{
	int rc, i;

	pdev = platform_device_register_simple("labbus", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	adap.owner = THIS_MODULE;
	adap.algo = &lab_i2c_algo;
	adap.dev.parent = &pdev->dev;
	adap.nr = i2c_nr;			/* -1: any */
	strscpy(adap.name, "labbus", sizeof(adap.name));
	rc = i2c_add_numbered_adapter(&adap);
	if (rc)
		goto no_adapter;

	ctlr = spi_alloc_host(&pdev->dev, 0);
	if (!ctlr) {
		rc = -ENOMEM;
		goto no_controller;
	}
	ctlr->bus_num = spi_nr;			/* -1: any */
	ctlr->num_chipselect = NUM_CS;
	ctlr->bits_per_word_mask = SPI_BPW_MASK(8);
	ctlr->mode_bits = SPI_CPOL | SPI_CPHA | SPI_CS_HIGH | SPI_LSB_FIRST | SPI_3WIRE | SPI_NO_CS;
	ctlr->transfer_one_message = lab_spi_message;
	rc = spi_register_controller(ctlr);
	if (rc) {
		spi_controller_put(ctlr);
		goto no_controller;
	}
	for (i = 0; i < NUM_CS; i++) {
		struct spi_board_info info = {
			.modalias = "dh2228fv",	/* one of the names that spidev takes */
			.max_speed_hz = 125000000,
			.chip_select = i,
		};

		if (!spi_new_device(ctlr, &info)) {
			rc = -ENODEV;
			goto no_misc;
		}
	}
	rc = misc_register(&misc);
	if (rc)
		goto no_misc;
	make_debugfs();
	pr_info("labbus: i2c-%d, spi%d\n", adap.nr, ctlr->bus_num);
	return 0;

no_misc:
	spi_unregister_controller(ctlr);
no_controller:
	i2c_del_adapter(&adap);
no_adapter:
	platform_device_unregister(pdev);
	return rc;
}

static void __exit lab_exit(void)
{
	debugfs_remove_recursive(dbg);
	misc_deregister(&misc);
	spi_unregister_controller(ctlr);
	i2c_del_adapter(&adap);
	platform_device_unregister(pdev);
}

module_init(lab_init);
module_exit(lab_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("I2C adapter and SPI controller whose chips are a process");
