<?php
return [
    'modules' => [
        'Acme_Core' => 1,
        'Acme_Catalog' => 1,
        'Acme_Legacy' => 0,
        'Acme_Orders' => 1,
        'Acme_Bundle' => 1,
        'Shop_Custom' => 1,
        'Shop_Quiet' => 1
    ],
    'scopes' => [
        'websites' => [
            'admin' => [
                'website_id' => '0'
            ]
        ]
    ]
];
