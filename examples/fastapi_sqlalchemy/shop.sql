CREATE TABLE order_items (number INT, item VARCHAR(20));
INSERT INTO order_items VALUES (1, 'lamp'), (1, 'table'), (2, 'rug');
